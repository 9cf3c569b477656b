// A well-meant tool that is careless with personal data: it answers with e-mail addresses and card
// numbers, and repeats the question it was asked.
import { readFileSync } from 'node:fs';

const rows = readFileSync(new URL('orders.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split(','));

export default async function salesReport({ question, top = 3 }) {
  const customers = new Map();
  for (const [, , name, email, , card, , quantity, price] of rows) {
    const customer = customers.get(email) ?? { name, email, card, total: 0 };
    customer.total += Number(quantity) * Number(price);
    customers.set(email, customer);
  }
  const best = [...customers.values()].sort((a, b) => b.total - a.total).slice(0, top);
  console.log(`best customer: ${best[0].email}`);
  return {
    question,
    orders: rows.length,
    best: best.map(({ name, email, card, total }) => ({
      name,
      email,
      card,
      total: total.toFixed(2),
    })),
  };
}
