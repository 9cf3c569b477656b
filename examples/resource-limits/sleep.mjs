// Waits without using anything, deaf to the request to stop.
export default function sleep({ ms }) {
  return new Promise((resolve) => setTimeout(() => resolve('awake'), ms));
}
