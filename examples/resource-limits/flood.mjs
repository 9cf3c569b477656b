export default function flood() {
  for (;;) console.log('x'.repeat(1000));
}
