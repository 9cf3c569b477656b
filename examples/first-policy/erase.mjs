// Never runs here: its name is not in the policy.
import { rmSync } from 'node:fs';

export default function erase({ path }) {
  rmSync(path, { recursive: true });
}
