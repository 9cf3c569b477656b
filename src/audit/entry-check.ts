import { hasBytes, MemberSpans, scanMembers } from './canonical-scan.ts';
import type { Findings } from './problem.ts';
import { COMMON_FIELDS, ENTRY_FIELDS, FORMAT_VERSION } from './stored-entry.ts';

/** Form of a UUID version 4 in quotes: `x` is a hex digit, `y` one of 8, 9, a, b. */
const ENTRY_ID: Buffer = Buffer.from('"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"');
const TIMESTAMP = /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$/;
const ANY_DIGIT = 0x78;
const VARIANT = 0x79;
const ZERO = 0x30;
/** 1 for `0`–`9` and `a`–`f`. */
const IS_HEX_DIGIT: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(/^[0-9a-f]$/.test(String.fromCharCode(byte))),
);
const VERSION = Buffer.from(String(FORMAT_VERSION));

/** What a verifier needs from the body of an entry, without parsing it. */
export interface EntryFacts {
  readonly type: string;
  readonly seq: number;
  /** UTC with milliseconds. */
  readonly ts: string;
  /** Offset of the first digit of the entry id. */
  readonly entryIdStart: number;
}

/** One entry type with its value and its members as bytes, in RFC 8785 order. */
interface EntryForm {
  readonly type: string;
  readonly value: Buffer;
  readonly names: readonly Buffer[];
}

const FORMS: readonly EntryForm[] = [...ENTRY_FIELDS].map(([type, names]) => ({
  type,
  value: Buffer.from(`"${type}"`),
  names: names.map((name) => Buffer.from(name)),
}));
const [ENTRY_ID_NAME, SEQ_NAME, TS_NAME, TYPE_NAME, VERSION_NAME] = COMMON_FIELDS.map((name) =>
  Buffer.from(name),
) as [Buffer, Buffer, Buffer, Buffer, Buffer];

/** Checks the bodies of entries one after the other: canonical form, members, and their form. */
export class EntryCheck {
  readonly #findings: Findings;
  readonly #spans = new MemberSpans();
  /** Most entries have the time of the one before. */
  #ts = '';
  #tsBytes: Buffer = Buffer.from('""');

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /**
   * Checks one body.
   *
   * @param bytes - UNTRUSTED, but checked to be UTF-8
   * @param start - of the line
   * @param bodyEnd - behind the last member of the body
   * @returns null when the body cannot be understood; the findings say why
   */
  check(bytes: Buffer, start: number, bodyEnd: number): EntryFacts | null {
    if (!scanMembers(bytes, start, bodyEnd, this.#spans)) {
      this.#explainBadBody(bytes, start, bodyEnd);
      return null;
    }
    const entryId = this.#find(bytes, ENTRY_ID_NAME, 0);
    const seq = this.#find(bytes, SEQ_NAME, entryId);
    const ts = this.#find(bytes, TS_NAME, seq);
    const type = this.#find(bytes, TYPE_NAME, ts);
    const version = this.#find(bytes, VERSION_NAME, type);
    if (version === this.#spans.count) {
      const names = COMMON_FIELDS.join(', ');
      this.#findings.problem('missing_field', `an entry has the members ${names}`);
      return null;
    }
    this.#checkForm(bytes, entryId, version);
    return {
      type: this.#checkType(bytes, type),
      seq: this.#number(bytes, seq),
      ts: this.#checkTs(bytes, ts),
      entryIdStart: this.#spans.valueStart(entryId) + 1,
    };
  }

  /** Index of the member with this name, from an index on; the count when there is none. */
  #find(bytes: Buffer, name: Buffer, from: number): number {
    let index = from;
    while (index < this.#spans.count && !this.#isNamed(bytes, index, name)) index += 1;
    return index;
  }

  #isNamed(bytes: Buffer, index: number, name: Buffer): boolean {
    const start = this.#spans.nameStart(index);
    const end = this.#spans.nameEnd(index);
    return end - start === name.length && hasBytes(bytes, start, end, name);
  }

  #text(bytes: Buffer, index: number): string {
    return bytes.toString('latin1', this.#spans.valueStart(index), this.#spans.valueEnd(index));
  }

  /** NaN for anything but digits; the scan has found no more than a double can hold. */
  #number(bytes: Buffer, index: number): number {
    let value = 0;
    const end = this.#spans.valueEnd(index);
    for (let at = this.#spans.valueStart(index); at < end; at += 1) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) return Number.NaN;
      value = value * 10 + digit;
    }
    return value;
  }

  #checkForm(bytes: Buffer, entryId: number, version: number): void {
    if (!this.#isEntryId(bytes, entryId)) {
      this.#findings.problem('malformed_entry', '`entry_id` must be a UUID version 4');
    }
    if (!this.#hasValue(bytes, version, VERSION)) {
      this.#findings.problem('malformed_entry', `\`v\` must be ${FORMAT_VERSION}`);
    }
  }

  #hasValue(bytes: Buffer, index: number, value: Buffer): boolean {
    const start = this.#spans.valueStart(index);
    const end = this.#spans.valueEnd(index);
    return end - start === value.length && hasBytes(bytes, start, end, value);
  }

  /** A loop: cutting the text out and matching it costs four times more. */
  #isEntryId(bytes: Buffer, index: number): boolean {
    const start = this.#spans.valueStart(index);
    if (this.#spans.valueEnd(index) - start !== ENTRY_ID.length) return false;
    for (let at = 0; at < ENTRY_ID.length; at += 1) {
      const byte = bytes[start + at] as number;
      const form = ENTRY_ID[at];
      const fits =
        form === ANY_DIGIT
          ? IS_HEX_DIGIT[byte] === 1
          : form === byte || (form === VARIANT && isVariant(byte));
      if (!fits) return false;
    }
    return true;
  }

  #checkTs(bytes: Buffer, index: number): string {
    if (this.#hasValue(bytes, index, this.#tsBytes)) return this.#ts;
    const text = this.#text(bytes, index);
    if (TIMESTAMP.test(text)) {
      this.#ts = text;
      this.#tsBytes = Buffer.from(text);
    } else this.#findings.problem('malformed_entry', '`ts` must be UTC with milliseconds');
    return text;
  }

  #checkType(bytes: Buffer, index: number): string {
    for (const form of FORMS) {
      if (!this.#hasValue(bytes, index, form.value)) continue;
      this.#checkFields(bytes, form);
      return form.type;
    }
    this.#findings.problem('unknown_type', 'the entry type is not known');
    return 'unknown';
  }

  /** Members and known names are both sorted, so one walk over both finds what is not known. */
  #checkFields(bytes: Buffer, { type, names }: EntryForm): void {
    let next = 0;
    for (let index = 0; index < this.#spans.count; index += 1) {
      let at = next;
      while (at < names.length && !this.#isNamed(bytes, index, names[at] as Buffer)) at += 1;
      if (at < names.length) next = at + 1;
      else this.#findings.problem('unknown_field', `a \`${type}\` entry has no such member`);
    }
  }

  #explainBadBody(bytes: Buffer, start: number, end: number): void {
    if (isJson(`${bytes.toString('utf8', start, end)}}`)) {
      const message = 'the line is not in RFC 8785 form, or nested too deep';
      this.#findings.problem('non_canonical', message);
    } else this.#findings.problem('invalid_json', 'the line is not JSON');
  }
}

/** RFC 9562 section 4.1: the two highest bits of the variant digit are 1 and 0. */
const isVariant = (byte: number): boolean =>
  byte === 0x38 || byte === 0x39 || byte === 0x61 || byte === 0x62;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
