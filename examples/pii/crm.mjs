// A well-meant tool that answers with more than it was asked for.
const people = [
  { name: 'Ann', email: 'ann@example.com', phone: '+1 212 555 0187', ssn: '219-09-9999' },
  { name: 'Bob', email: 'bob@example.org', card: '4111 1111 1111 1111', host: '203.0.113.7' },
];

export default function crm({ question, to }) {
  console.log(`asked: ${question}`);
  return { question, to, people };
}
