// Fills memory outside the JavaScript heap, where V8's own limit does not look.
export default async function hoard() {
  const kept = [];
  for (;;) {
    kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
