/**
 * What undici expects of a dispatcher: to be called back about one request. Node's own `fetch` is
 * undici's, and so are the clients of the package `undici`; they hand requests to the dispatcher
 * that is registered in `globalThis`. Up to undici 7 (Node 24) a handler has `onConnect` and
 * `onHeaders`, from undici 8 on `onRequestStart` and a controller.
 *
 * @see https://undici.nodejs.org/#/docs/api/Dispatcher
 */

/** Either kind of handler. */
export interface DispatchHandler extends Partial<OlderHandler>, Partial<NewerHandler> {}

interface OlderHandler {
  onConnect(abort: Abort): void;
  onResponseStarted(): void;
  onHeaders(
    status: number,
    headers: readonly Buffer[],
    resume: () => void,
    statusText: string,
  ): unknown;
  onData(chunk: Buffer): unknown;
  onComplete(trailers: readonly Buffer[]): void;
  onError(error: unknown): void;
}

interface NewerHandler {
  onRequestStart(controller: Controller, context: object): void;
  onResponseStart(
    controller: Controller,
    status: number,
    headers: Readonly<Record<string, string | string[]>>,
    statusText: string,
  ): void;
  onResponseData(controller: Controller, chunk: Buffer): void;
  onResponseEnd(controller: Controller, trailers: object): void;
  onResponseError(controller: Controller, error: unknown): void;
}

type Abort = (reason?: unknown) => void;

/** One way to speak to both kinds of handler. */
export interface Receiver {
  start(abort: Abort): void;
  /**
   * @param resume - called when more can be taken
   * @returns false: no more for now
   */
  head(head: ResponseHead, resume: () => void): boolean;
  /** @returns false: no more for now */
  data(chunk: Buffer): boolean;
  end(): void;
  fail(error: unknown): void;
}

/** Status line and headers. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  /** Names and values in turn; one character is one byte. */
  readonly headers: readonly string[];
}

/** The receiver of a handler of undici. */
export function receiverOf(handler: DispatchHandler): Receiver {
  return handler.onRequestStart === undefined
    ? olderReceiver(handler as OlderHandler)
    : newerReceiver(handler as NewerHandler & Partial<OlderHandler>);
}

function olderReceiver(handler: OlderHandler): Receiver {
  return {
    start: (abort) => handler.onConnect(abort),
    head: ({ status, statusText, headers }, resume) => {
      handler.onResponseStarted?.();
      return handler.onHeaders(status, bytesOf(headers), resume, statusText) !== false;
    },
    data: (chunk) => handler.onData(chunk) !== false,
    end: () => handler.onComplete([]),
    fail: (error) => handler.onError(error),
  };
}

function newerReceiver(handler: NewerHandler & Partial<OlderHandler>): Receiver {
  let controller = new Controller(() => {});
  return {
    start: (abort) => {
      controller = new Controller(abort);
      handler.onRequestStart(controller, {});
    },
    head: ({ status, statusText, headers }, resume) => {
      controller.rawHeaders = bytesOf(headers);
      controller.onResume = resume;
      handler.onResponseStarted?.();
      handler.onResponseStart(controller, status, recordOf(headers), statusText);
      return !controller.paused;
    },
    data: (chunk) => {
      handler.onResponseData(controller, chunk);
      return !controller.paused;
    },
    end: () => handler.onResponseEnd(controller, {}),
    fail: (error) => handler.onResponseError(controller, error),
  };
}

/** What newer handlers steer a request with. */
class Controller {
  rawHeaders: readonly Buffer[] = [];
  onResume: () => void = () => {};
  paused = false;
  aborted = false;
  reason: unknown = null;
  readonly #abort: Abort;

  constructor(abort: Abort) {
    this.#abort = abort;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.onResume();
  }

  abort(reason?: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#abort(reason);
  }
}

function bytesOf(headers: readonly string[]): readonly Buffer[] {
  return headers.map((text) => Buffer.from(text, 'latin1'));
}

function recordOf(headers: readonly string[]): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    const key = name.toLowerCase();
    const known = record[key];
    record[key] = known === undefined ? value : [known, value].flat();
  }
  return record;
}
