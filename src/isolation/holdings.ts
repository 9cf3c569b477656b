/** What one worker holds, released in reverse; one that fails does not keep the others. */
export class Holdings {
  readonly #releases: Release[] = [];
  readonly #late: Release[] = [];

  /** Released before the call is said to have ended. */
  add(release: Release): void {
    this.#releases.push(release);
  }

  /** Released after everything else; where nobody has to wait for it, after the call. */
  addLate(release: Release): void {
    this.#late.push(release);
  }

  /** @throws {AggregateError} with everything that could not be released */
  async release(): Promise<void> {
    await releaseAll(this.#releases);
  }

  /** @throws {AggregateError} with everything that could not be released */
  async releaseLate(): Promise<void> {
    await releaseAll(this.#late);
  }
}

type Release = () => void | Promise<void>;

async function releaseAll(releases: Release[]): Promise<void> {
  const failures: unknown[] = [];
  for (const release of releases.splice(0).reverse()) {
    try {
      await release();
    } catch (cause) {
      failures.push(cause);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'a call left something behind');
}
