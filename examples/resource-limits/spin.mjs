// Never gives its event loop back: no timer of its own process could stop it.
export default function spin() {
  for (;;);
}
