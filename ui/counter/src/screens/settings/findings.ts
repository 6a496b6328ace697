/** What the test of a scanner found, in words: what it is, and what to do about it. */

import { count, type Finding } from '@counterfoil/shared';
import { locale } from '@counterfoil/shared/words';
import { m } from '../../paraglide/messages.js';

export interface Said {
  look: 'good' | 'note' | 'bad';
  what: string;
  next: string;
}

/** Signs that show what a layout does; more would not be read. */
const MOST_SWAPPED = 6;

export function findingSentences(finding: Finding): Said {
  const number = (value: number) => count(value, locale());
  switch (finding.code) {
    case 'good':
      return { look: 'good', what: m.finding_good(), next: m.finding_good_next() };
    case 'no_end':
      return { look: 'bad', what: m.finding_no_end(), next: m.finding_no_end_next() };
    case 'ends_with_tab':
      return { look: 'note', what: m.finding_tab(), next: m.finding_tab_next() };
    case 'layout': {
      const shown = finding.swapped.slice(0, MOST_SWAPPED).map(({ wanted, came }) => `${wanted} → ${came}`);
      const swapped = shown.join(locale() === 'zh-CN' ? '，' : ', ');
      return { look: 'bad', what: m.finding_layout({ swapped }), next: m.finding_layout_next() };
    }
    case 'caps_lock':
      return { look: 'bad', what: m.finding_caps_lock(), next: m.finding_caps_lock_next() };
    case 'lost': {
      const what = m.finding_lost({ count: finding.count, shown: number(finding.count) });
      return { look: 'bad', what, next: m.finding_lost_next() };
    }
    case 'garbled':
      return { look: 'bad', what: m.finding_garbled(), next: m.finding_garbled_next() };
    case 'check_digit':
      return { look: 'bad', what: m.finding_check_digit(), next: m.finding_lost_next() };
    case 'surplus': {
      const around = [finding.prefix, finding.suffix].filter((text) => text !== '').join(' … ');
      return { look: 'bad', what: m.finding_surplus({ around }), next: m.finding_surplus_next() };
    }
    case 'aim':
      return { look: 'note', what: m.finding_aim({ aim: finding.aim }), next: m.finding_aim_next() };
    case 'slow':
      return { look: 'note', what: m.finding_slow({ perKey: number(finding.perKey) }), next: m.finding_slow_next() };
    case 'gap':
      return { look: 'bad', what: m.finding_gap({ longest: number(finding.longest) }), next: m.finding_gap_next() };
    case 'not_a_scanner':
      return { look: 'bad', what: m.finding_typed({ perKey: number(finding.perKey) }), next: m.finding_typed_next() };
  }
}
