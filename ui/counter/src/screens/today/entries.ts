/** The day as one list: sales as the counter has them, and what was redeemed or handed over by itself. */

import { count, date, money } from '@counterfoil/shared';
import { locale, type Place } from '@counterfoil/shared/words';
import type { Backend, OperationKind, Problem, QueueRow, SaleRow } from '../../lib/backend';
import { m } from '../../paraglide/messages.js';

export type Entry = { kind: 'sale'; sale: SaleRow } | { kind: 'redemption'; row: QueueRow };

/** Kinds that are not part of a sale's own row. */
const REDEMPTIONS: readonly OperationKind[] = ['redeemCoupon', 'collectOrder', 'topUp'];
const PAGE = 50;
/** More than any counter does in a day; an endless journal must not become an endless loop. */
const MOST_PAGES = 40;

export async function entriesOf(
  backend: Backend,
  now: number,
  place: Place,
): Promise<{ entries: Entry[]; problem: Problem | null }> {
  const sales = await backend.sales();
  if (sales.status === 'error') return { entries: [], problem: sales.error };
  const entries: Entry[] = sales.data.map((sale) => ({ kind: 'sale', sale }));
  const today = date(now, 'en', place.timeZone);
  let before: number | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await backend.queue(null, before);
    if (answer.status === 'error') return { entries, problem: answer.error };
    const rows: QueueRow[] = answer.data;
    const todays = rows.filter((row) => date(row.at, 'en', place.timeZone) === today);
    for (const row of todays) if (REDEMPTIONS.includes(row.kind)) entries.push({ kind: 'redemption', row });
    before = rows.at(-1)?.seq ?? null;
    if (rows.length < PAGE || todays.length < rows.length) break;
  }
  return { entries: entries.toSorted((a, b) => whenOf(b) - whenOf(a)), problem: null };
}

export function whenOf(entry: Entry): number {
  return entry.kind === 'sale' ? entry.sale.at : entry.row.at;
}

export function idOf(entry: Entry): string {
  return entry.kind === 'sale' ? entry.sale.opId : entry.row.opId;
}

/** Everything of an entry that a person may look for. */
export function matches(entry: Entry, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = haystack(entry).toLowerCase();
  return words.every((word) => text.includes(word));
}

function haystack(entry: Entry): string {
  if (entry.kind === 'redemption') return `${entry.row.title} ${entry.row.clerk} ${entry.row.seq}`;
  const { title, clerk, receipt, member, payable, currency } = entry.sale;
  const paid = money(payable, currency, locale());
  return [title, clerk, receipt, member?.name, member?.number, member?.phone, paid].join(' ');
}

export function itemsOf(units: number): string {
  return m.recent_items({ count: units, shown: count(units, locale()) });
}
