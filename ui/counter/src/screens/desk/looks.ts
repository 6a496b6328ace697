/** How a verdict looks: never by colour alone, so each has its own icon and words. */

import CircleCheckBig from '@lucide/svelte/icons/circle-check-big';
import CircleQuestionMark from '@lucide/svelte/icons/circle-question-mark';
import Info from '@lucide/svelte/icons/info';
import OctagonX from '@lucide/svelte/icons/octagon-x';
import UserRound from '@lucide/svelte/icons/user-round';
import WifiOff from '@lucide/svelte/icons/wifi-off';
import type { Verdict } from '../../lib/backend';
import { m } from '../../paraglide/messages.js';

export interface Look {
  icon: typeof Info;
  word: string;
  /** Classes of the stub. */
  stub: string;
  note: string | null;
}

export function lookOf(verdict: Verdict): Look {
  const collect = verdict.subject.kind === 'order';
  const redeem = verdict.subject.kind === 'coupon';
  switch (verdict.decision) {
    case 'honour':
      return {
        icon: CircleCheckBig,
        word: collect ? m.decision_honour_collect() : m.decision_honour_redeem(),
        stub: 'bg-good text-good-ink',
        note: null,
      };
    case 'honourOffline':
      return {
        icon: WifiOff,
        word: collect ? m.decision_offline_collect() : m.decision_offline_redeem(),
        stub: 'bg-good text-good-ink hatched',
        note: m.offline_note(),
      };
    case 'refuse':
      return {
        icon: OctagonX,
        word: collect ? m.decision_refuse_collect() : redeem ? m.decision_refuse_redeem() : m.decision_refuse(),
        stub: 'bg-bad text-bad-ink',
        note: m.refuse_note(),
      };
    case 'unconfirmed':
      return {
        icon: CircleQuestionMark,
        word: m.decision_unconfirmed(),
        stub: 'bg-warn text-warn-ink',
        note: verdict.ticket === null ? m.unconfirmed_note() : null,
      };
    case 'info':
      return {
        icon: verdict.subject.kind === 'member' ? UserRound : Info,
        word: verdict.subject.kind === 'member' ? m.decision_info_member() : m.decision_info(),
        stub: 'bg-info text-info-ink',
        note: null,
      };
  }
}
