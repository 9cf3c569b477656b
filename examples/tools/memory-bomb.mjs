// Fills memory outside the JavaScript heap, where V8's own limit does not look.
export default async function memoryBomb() {
  const kept = [];
  for (;;) {
    kept.push(Buffer.alloc(16 * 1024 * 1024, 1));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
