export default function echo({ text }) {
  return text;
}
