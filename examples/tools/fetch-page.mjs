// Fetches a page and gives its title and text.
export default async function fetchPage({ url }, { signal }) {
  const response = await fetch(url, { signal });
  const html = await response.text();
  const title = /<title>([^<]*)<\/title>/i.exec(html)?.[1] ?? '';
  const text = html
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return { status: response.status, title, text };
}
