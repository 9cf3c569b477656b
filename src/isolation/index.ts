export {
  encodeIJson,
  type IJsonBounds,
  IJsonError,
  parseIJson,
} from '../../worker/protocol.ts';
export { chooseRunner, type RunnerChoice, type TierShortfall } from './choose-runner.ts';
export type { EgressRecord } from './egress-proxy.ts';
export { FunctionRunner, TRUSTED_KEYS, type Trust } from './function-runner.ts';
export { type HostTiers, openHostTiers } from './host-tiers.ts';
export { ProcessRunner } from './process-runner.ts';
export type { Job, RunEnd, Runner, RunReport, StopReason } from './runner.ts';
export { sweepScratch } from './scratch.ts';
export { ThreadRunner } from './thread-runner.ts';
export {
  type DigestCache,
  defaultToolName,
  type ResolvedTarget,
  resolveTarget,
} from './tool-target.ts';
