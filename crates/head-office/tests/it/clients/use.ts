// What somebody writes who uses the client: it compiles only while operations and fields have these names and types.
import {
  createTemplate,
  exportCodes,
  freezeOrder,
  listMembers,
  quoteBasket,
  type Basket,
  type Rule,
} from './client';

const rule: Rule = { kind: 'percent_off', percent_bp: 1500, threshold: 10000, threshold_basis: 'list' };
const basket: Basket = {
  currency: 'CNY',
  at: '2026-11-11T12:00:00+08:00',
  lines: [{ id: '1', sku: 'A', unit_price: 1000, quantity: 2 }],
  coupons: [{ id: 'c', status: 'available', rule, scope: { all: true } }],
  select: 'best',
};

export async function use(auth: string): Promise<string[]> {
  await quoteBasket({ auth, body: basket });
  await freezeOrder({
    auth,
    headers: { 'Idempotency-Key': 'k' },
    body: { order: 'W-1', coupons: ['100120260712345678'], amount: 2000, deadline: 1 },
  });
  await exportCodes({ auth, path: { id: '019b76da-a800-7000-8000-000000000001' }, query: { format: 'xlsx' } });
  const page = await listMembers({ auth, query: { phone: '+86 138 0013 8000' } });
  const problem: string | undefined = page.error?.code;
  return [problem ?? '', ...(page.data?.items ?? []).map((member) => member.number), typeof createTemplate];
}
