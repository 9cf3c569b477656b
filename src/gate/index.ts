export type { Charge, Check, DecisionRequest } from './check.ts';
export { type CompiledPolicy, compilePolicy, type ToolChecks } from './compile-policy.ts';
export type { CustomRule } from './custom-rules.ts';
export { decide, type GateDecision } from './decide.ts';
export { checkOutput, type ToolOutput } from './output-check.ts';
export { checkToolName, foldToolName } from './tool-name.ts';
export type { RedactionRulesShape, ToolRules } from './tool-rules.ts';
export { microUsdOf } from './usage-charges.ts';
