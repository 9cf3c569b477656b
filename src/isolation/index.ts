export {
  encodeIJson,
  type IJsonBounds,
  IJsonError,
  RESULT_DEPTH_MAX,
} from '../../worker/protocol.ts';
export { chooseRunner, type RunnerChoice, type TierShortfall } from './choose-runner.ts';
export type { EgressRecord, Resolution } from './egress-gate.ts';
export type { ExplanationSection } from './explanation.ts';
export { FunctionRunner, TRUSTED_KEYS, type Trust } from './function-runner.ts';
export type { LayerSupport } from './host-support.ts';
export { describeHost, type HostTiers, openHostTiers } from './host-tiers.ts';
export { OwnFetch } from './own-fetch.ts';
export { STOP_CODES } from './run-end.ts';
export type { Job, RunEnd, Runner, RunReport, StopReason } from './runner.ts';
export { sweepScratch } from './scratch.ts';
export {
  checkTarget,
  type DigestCache,
  defaultToolName,
  type FunctionCall,
  type ResolvedTarget,
  resolveTarget,
} from './tool-target.ts';
