import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js';
import type { CallContext, Json } from '../call.ts';
import { compileLinearPattern, type LinearPattern } from './linear-pattern.ts';

/**
 * Conditions in CEL (the Common Expression Language), hardened: a bounded tree, at most two nested
 * comprehensions, literal patterns only, matched in linear time, and a bound on the work an
 * evaluation may do, checked against the arguments before it starts.
 */

/** What a condition may speak about. */
export interface ConditionInput {
  readonly tool: string;
  readonly args: Json;
  readonly context: CallContext;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A compiled condition. */
export interface Condition {
  readonly source: string;
  /**
   * @returns whether the condition holds
   * @throws when it cannot be told: a missing key, a type error, too much work
   */
  holds(input: ConditionInput): boolean;
}

const NESTING_MAX = 2;
const DEPTH_MAX = 50;

/** Measured: about 1e8 character steps take 50 ms. */
const WORK_MAX = 50_000_000;

/** Macros of CEL that look at every element of a list or map. */
const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** Results whose size is not bounded by the largest container of the arguments. */
const MAKES_LISTS = new Set(['split', 'json', 'bytes']);

/** Elements of a list written in a condition. */
const LITERAL_ELEMENTS_MAX = 100;

/**
 * Compiles a condition.
 *
 * @throws {SyntaxError} with the reason, when it is not CEL, is not a yes-or-no question, or could
 *   take unbounded time
 */
export function compileCondition(source: string): Condition {
  const patterns = new Map<string, LinearPattern>();
  const written = parse(environmentWith(patterns, DEPTH_MAX), source);
  const { text, cost } = inspect(written, patterns);
  // Printing makes precedence explicit, which the parser counts as depth.
  const program = parse(environmentWith(patterns, 4 * DEPTH_MAX), text);
  const { valid, type, error } = program.check();
  if (!valid) throw new SyntaxError(summaryOf(error));
  if (type !== 'bool' && type !== 'dyn') {
    throw new SyntaxError(`must be true or false, gives ${type}`);
  }
  return {
    source,
    holds({ tool, args, context, now }) {
      refuseTooMuchWork(cost, args);
      const result: unknown = program({ tool, args, context, now: new Date(now) });
      if (typeof result !== 'boolean') throw new TypeError('a condition gave no boolean');
      return result;
    },
  };
}

function environmentWith(
  patterns: ReadonlyMap<string, LinearPattern>,
  maxDepth: number,
): Environment {
  return (
    new Environment({
      unlistedVariablesAreDyn: false,
      enableOptionalTypes: true,
      homogeneousAggregateLiterals: false,
      limits: {
        maxAstNodes: 2000,
        maxDepth,
        maxListElements: LITERAL_ELEMENTS_MAX,
        maxMapEntries: LITERAL_ELEMENTS_MAX,
        maxCallArguments: 8,
      },
    })
      .registerVariable('tool', 'string')
      .registerVariable('args', 'dyn')
      .registerVariable('context', 'dyn')
      .registerVariable('now', 'google.protobuf.Timestamp')
      // The member form `text.matches(p)` uses a backtracking engine; `inspect` rewrites it to this.
      .registerFunction('matches(string, string): bool', (text: string, pattern: string) => {
        const compiled = patterns.get(pattern);
        if (compiled === undefined) throw new TypeError('a pattern must be written out');
        return compiled.test(text);
      })
  );
}

function parse(environment: Environment, source: string): ParseResult {
  try {
    return environment.parse(source);
  } catch (error) {
    throw new SyntaxError(summaryOf(error), { cause: error });
  }
}

/** The first line: the rest draws the expression, which the problem's place already shows. */
function summaryOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `is not a valid condition: ${message.split('\n')[0]}`;
}

/** What one evaluation may cost: steps per element, and how comprehensions nest. */
interface Cost {
  readonly weight: number;
  readonly nesting: number;
  readonly makesLists: boolean;
}

interface Inspection {
  /** The expression with `x.matches(p)` as `matches(x, p)`. */
  readonly text: string;
  readonly cost: Cost;
}

/** Walks the tree once: collects patterns, rewrites their calls, refuses what is unbounded. */
function inspect(program: ParseResult, patterns: Map<string, LinearPattern>): Inspection {
  let weight = 0;
  let nesting = 0;
  let makesLists = false;

  const visitCall = (name: string, callArgs: readonly ASTNode[], receiver?: ASTNode): void => {
    if (name === 'matches') weight += collectPattern(callArgs.at(-1), patterns);
    if (MAKES_LISTS.has(name)) makesLists = true;
    if (name === 'bind' && receiver?.op === 'id' && receiver.args === 'cel') return;
  };

  const print = (node: ASTNode, depth: number): string => {
    weight += 1;
    nesting = Math.max(nesting, depth);
    if (depth > NESTING_MAX) {
      throw new SyntaxError(`nests more than ${NESTING_MAX} of ${[...COMPREHENSIONS].join(', ')}`);
    }
    if (node.op === 'rcall') {
      const [name, receiver, callArgs] = node.args;
      visitCall(name, callArgs, receiver);
      const inner = COMPREHENSIONS.has(name) ? depth + 1 : depth;
      const head = print(receiver, depth);
      const tail = callArgs.map((each) => print(each, inner)).join(', ');
      return name === 'matches' ? `matches(${head}, ${tail})` : `(${head}).${name}(${tail})`;
    }
    if (node.op === 'call') {
      const [name, callArgs] = node.args;
      visitCall(name, callArgs);
      return `${name}(${callArgs.map((each) => print(each, depth)).join(', ')})`;
    }
    return printPlain(node, (child) => print(child, depth));
  };

  const text = print(program.ast, 0);
  return { text, cost: { weight, nesting, makesLists } };
}

/** Nodes other than calls, as source. Parentheses make precedence explicit. */
function printPlain(node: ASTNode, print: (child: ASTNode) => string): string {
  switch (node.op) {
    case 'value':
      return node.input.slice(node.start, node.end);
    case 'id':
      return node.args;
    case '.':
    case '.?':
      return `(${print(node.args[0])})${node.op}${node.args[1]}`;
    case '[]':
      return `(${print(node.args[0])})[${print(node.args[1])}]`;
    case '[?]':
      return `(${print(node.args[0])})[?${print(node.args[1])}]`;
    case 'list':
      return `[${node.args.map(print).join(', ')}]`;
    case 'map':
      return `{${node.args.map(([key, value]) => `${print(key)}: ${print(value)}`).join(', ')}}`;
    case '?:':
      return `(${print(node.args[0])} ? ${print(node.args[1])} : ${print(node.args[2])})`;
    case '!_':
      return `(!${print(node.args)})`;
    case '-_':
      return `(-${print(node.args)})`;
    case 'call':
    case 'rcall':
      throw new SyntaxError('a call is printed by its caller');
    default:
      return `(${print(node.args[0])} ${node.op} ${print(node.args[1])})`;
  }
}

/** @returns the weight of matching the pattern, in steps per character */
function collectPattern(node: ASTNode | undefined, patterns: Map<string, LinearPattern>): number {
  if (node?.op !== 'value' || typeof node.args !== 'string') {
    throw new SyntaxError('the pattern of `matches` must be written out as text');
  }
  const pattern = compileLinearPattern(node.args);
  patterns.set(node.args, pattern);
  return pattern.weight;
}

/**
 * UNTRUSTED: the arguments decide how often a comprehension runs and how long a text is that is
 * searched, so the most that can come of them is computed first.
 */
function refuseTooMuchWork({ weight, nesting, makesLists }: Cost, args: Json): void {
  const { textMax, entriesMax } = extentOf(args);
  const elements = Math.max(LITERAL_ELEMENTS_MAX, makesLists ? textMax : entriesMax);
  const work = weight * elements ** nesting * (16 + textMax);
  if (work > WORK_MAX) throw new RangeError('the arguments are too large for this condition');
}

/** The longest text and the largest container anywhere in a value. */
function extentOf(value: Json): { textMax: number; entriesMax: number } {
  let textMax = 0;
  let entriesMax = 0;
  const open: Json[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next === 'string') textMax = Math.max(textMax, next.length);
    if (typeof next !== 'object' || next === null) continue;
    const children: readonly Json[] = Array.isArray(next) ? next : Object.values(next);
    entriesMax = Math.max(entriesMax, children.length);
    for (const child of children) open.push(child);
  }
  return { textMax, entriesMax };
}
