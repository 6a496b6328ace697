import { m } from '../../../paraglide/messages.js';

/** How a customer may have paid, as the sale records it, and the words for it. */
const WORDS = {
  cash: m.tender_cash,
  card: m.tender_card,
  wechat: m.tender_wechat,
  alipay: m.tender_alipay,
  other: m.tender_other,
};

export type Tender = keyof typeof WORDS;
export const TENDERS = Object.keys(WORDS) as Tender[];

/** Another program of the chain may have its own. */
export function tenderWord(tender: string): string {
  return TENDERS.some((one) => one === tender) ? WORDS[tender as Tender]() : tender;
}
