export default function answer({ of }) {
  return of * 2;
}
