import type {
  AccountView,
  CouponView,
  MemberView,
  OrderView,
  ProductView,
  QueueRow,
  RuleView,
  StoreView,
} from './index';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const STORE: StoreView = {
  id: 's-01',
  code: 'SH-012',
  nameZh: '静安寺店',
  nameEn: "Jing'an Temple",
  timeZone: 'Asia/Shanghai',
};

export const OTHER_STORE: StoreView = {
  id: 's-02',
  code: 'SH-007',
  nameZh: '徐家汇店',
  nameEn: 'Xujiahui',
  timeZone: 'Asia/Shanghai',
};

export const CLERKS = [
  { id: 'c-1', name: '林小满', role: 'manager' as const, pin: '2468' },
  { id: 'c-2', name: '陈雨', role: 'clerk' as const, pin: '1234' },
  { id: 'c-3', name: 'Maya Patel', role: 'clerk' as const, pin: '4321' },
];

export const MEMBER: MemberView = { id: 'm-1', number: '6000 1288', name: '王**', phone: '138****6620' };

/** What the member has before anything is bought here. */
export function demoAccount(now: number): AccountView {
  return {
    points: { available: 1250, held: 0, pending: 120, debt: 0 },
    balance: { available: 5000, held: 0, pending: 0, debt: 0 },
    lots: [
      { amount: 250, readyAt: null, endsAt: now + 12 * DAY },
      { amount: 1000, readyAt: null, endsAt: null },
      { amount: 120, readyAt: now + 3 * DAY, endsAt: null },
    ],
  };
}

const NO_RULE: RuleView = {
  threshold: null,
  amount: null,
  percentBp: null,
  maxDiscount: null,
  sku: null,
  quantity: null,
  maxTimes: null,
  minQuantity: null,
};

function coupon(code: string, now: number, over: Partial<CouponView>): CouponView {
  return {
    id: code,
    code,
    nameZh: '洗护满减券',
    nameEn: 'Hair care, threshold coupon',
    ruleKind: 'threshold_off',
    rule: { ...NO_RULE, threshold: 19900, amount: 2000 },
    state: 'available',
    validFrom: now - 10 * DAY,
    validUntil: now + 20 * DAY,
    member: MEMBER,
    offline: 'floorLimit',
    currency: 'CNY',
    ...over,
  };
}

export function demoCoupons(now: number): CouponView[] {
  return [
    coupon('260411000000012345', now, {}),
    coupon('260411000000023452', now, {
      nameZh: '会员日八五折券',
      nameEn: 'Member day, 15% off',
      ruleKind: 'percent_off',
      rule: { ...NO_RULE, percentBp: 1500, maxDiscount: 5000 },
      offline: 'onlineOnly',
    }),
    coupon('260411000000034569', now, {
      nameZh: '新客立减券',
      nameEn: 'Welcome, ¥30 off',
      ruleKind: 'amount_off',
      rule: { ...NO_RULE, amount: 3000 },
      state: 'expired',
      validUntil: now - 2 * DAY,
    }),
    coupon('260411000000045671', now, {
      nameZh: '全场立减券',
      nameEn: 'Anything, ¥10 off',
      ruleKind: 'amount_off',
      rule: { ...NO_RULE, amount: 1000 },
    }),
  ];
}

export const PRODUCTS: ProductView[] = [
  product('A-100', '6901234500016', '氨基酸洗发水 500ml', 'Amino shampoo 500 ml', 1088),
  product('A-110', '6901234500023', '氨基酸护发素 500ml', 'Amino conditioner 500 ml', 2088),
  product('B-220', '6901234500030', '山茶花护发精油 80ml', 'Camellia hair oil 80 ml', 6800),
  product('C-310', '6901234500047', '旅行套装', 'Travel set', 4900),
];

function product(sku: string, barcode: string, nameZh: string, nameEn: string, unitPrice: number): ProductView {
  return { sku, barcode, nameZh, nameEn, unitPrice, currency: 'CNY' };
}

export function demoOrders(now: number): OrderView[] {
  const order: OrderView = {
    id: 'o-1',
    number: 'ZT20260411-0087',
    code: '40718826',
    state: 'ready',
    collector: '王**',
    member: MEMBER,
    deadline: now + 3 * DAY,
    store: STORE,
    lines: [
      { sku: 'A-100', nameZh: '氨基酸洗发水 500ml', nameEn: 'Amino shampoo 500 ml', quantity: 2 },
      { sku: 'B-220', nameZh: '山茶花护发精油 80ml', nameEn: 'Camellia hair oil 80 ml', quantity: 1 },
      { sku: 'C-310', nameZh: '旅行套装', nameEn: 'Travel set', quantity: 1 },
    ],
  };
  return [
    order,
    { ...order, id: 'o-2', number: 'ZT20260410-0031', code: '40718834', store: OTHER_STORE },
    { ...order, id: 'o-3', number: 'ZT20260409-0112', code: '40718842', state: 'collected' },
  ];
}

export function demoQueue(now: number): QueueRow[] {
  const row = (seq: number, minutes: number, over: Partial<QueueRow>): QueueRow => ({
    opId: `op-${seq}`,
    seq,
    epoch: 1,
    kind: 'redeemCoupon',
    title: '洗护满减券 / Hair care',
    at: now - minutes * 60_000,
    clerk: '陈雨',
    state: 'applied',
    exception: null,
    deliveredAt: now - minutes * 60_000 + 900,
    voided: false,
    voidable: true,
    ...over,
  });
  return [
    row(106, 34, { kind: 'collectOrder', title: 'ZT20260411-0064', clerk: 'Maya Patel' }),
    row(105, 71, {}),
    row(104, 96, { state: 'exception', exception: 'double_redeem', voidable: false }),
    row(103, 140, { title: '会员日八五折券 / Member day', voided: true, voidable: false }),
    row(102, 180, { kind: 'collectOrder', title: 'ZT20260410-0019' }),
    row(101, 240, { title: '新客立减券 / Welcome' }),
  ];
}
