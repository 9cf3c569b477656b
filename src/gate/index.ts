export type { Charge, Check, DecisionRequest } from './check.ts';
export {
  type ArgumentKind,
  type CompiledPolicy,
  compilePolicy,
  type RedactionRulesShape,
  type ToolChecks,
  type ToolRules,
} from './compile-policy.ts';
export { decide, type GateDecision } from './decide.ts';
export { checkToolName, foldToolName } from './tool-name.ts';
