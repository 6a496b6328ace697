//! Head office in memory.

use counterfoil_protocol::sync::StoreLimits;

use super::*;
use crate::copies::image_of;

/// Head office in memory, on the same transition as the real one.
#[derive(Debug, Clone)]
pub struct HeadOffice {
    pub history: HistoryId,
    pub now: Millis,
    pub state: State,
    fixed: Vec<Image>,
    feed: Vec<(i64, Entity)>,
    next_feed: i64,
    outcomes: BTreeMap<OperationId, (Outcome, i64)>,
    versions: BTreeMap<Entity, i64>,
    pub limits: OfflineLimits,
    /// It is newer than the counter: orders are of a kind that is not known there, and coupon 0 is in a state that is not.
    pub newer: bool,
}

impl HeadOffice {
    /// With `coupons` coupons (template 1: home store, every third template 2: online only) and `orders` orders.
    pub fn new(coupons: u8, orders: u8) -> Self {
        let mut office = Self {
            history: history(1),
            now: NOW,
            state: State::default(),
            fixed: vec![
                Image::Store(store(1)),
                Image::Store(store(2)),
                Image::Clerk(clerk(1, Role::Clerk)),
                Image::Clerk(clerk(2, Role::Manager)),
                Image::Template(template(1, OfflinePolicy::HomeStore)),
                Image::Template(template(2, OfflinePolicy::OnlineOnly)),
                Image::Product(product(1)),
                Image::Product(product(2)),
                Image::Product(product(3)),
            ],
            feed: Vec::new(),
            next_feed: 1,
            outcomes: BTreeMap::new(),
            versions: BTreeMap::new(),
            limits: OfflineLimits::default(),
            newer: false,
        };
        for n in [1, 2] {
            office.state.devices.insert(
                device(n),
                Some(Device {
                    id: device(n),
                    store: store_id(n),
                    status: DeviceStatus::Active,
                    epoch: 1,
                    last_seq: 0,
                    last_hash: genesis(),
                    settled_at: None,
                    version: 1,
                }),
            );
        }
        for image in &office.fixed {
            if let Image::Template(template) = image {
                office
                    .state
                    .templates
                    .insert((template.id, template.version), Some(Arc::new(template.clone())));
            }
        }
        office.state.members.insert(member_id(1), Some(member(1)));
        office.tell(Entity::Member(member_id(1)));
        for n in 0..coupons {
            office.put_coupon(coupon(n, if n % 3 == 2 { 2 } else { 1 }));
        }
        for n in 0..orders {
            office.state.orders.insert(order_id(n), Some(order(n)));
            office.tell(Entity::Order(order_id(n)));
        }
        office
    }

    /// One more rule, which every counter hears of when it first asks.
    pub fn put_template(&mut self, template: Template) {
        let key = (template.id, template.version);
        self.fixed.push(Image::Template(template.clone()));
        self.state.templates.insert(key, Some(Arc::new(template)));
    }

    pub fn put_coupon(&mut self, coupon: Coupon) {
        let id = coupon.id;
        self.state.coupons.insert(id, Some(coupon));
        self.tell(Entity::Coupon(id));
    }

    /// What a member has.
    pub fn put_account(&mut self, account: Account) {
        let member = account.member;
        self.state.accounts.insert(member, Some(account));
        self.tell(Entity::Account(member));
    }

    /// What a member has now.
    pub fn account(&self, member: MemberId) -> Account {
        self.state.accounts[&member].clone().unwrap()
    }

    /// A version of the rule of earning, which every counter hears of when it first asks.
    pub fn put_rule(&mut self, rule: EarningRule) {
        self.fixed.push(Image::EarningRule(rule.clone()));
        self.state.earning_rules.insert(rule.version, Some(Arc::new(rule)));
    }

    fn tell(&mut self, entity: Entity) {
        self.feed.retain(|(_, told)| *told != entity);
        self.feed.push((self.next_feed, entity));
        self.next_feed += 1;
        *self.versions.entry(entity).or_insert(0) += 1;
    }

    /// A device asks for a freeze, or gives one back.
    pub fn ask(&mut self, command: &Command) -> Answer {
        let (answer, changes) = self.decide(command);
        self.state.absorb(&changes);
        answer
    }

    /// The rows as a look-up answers them.
    pub fn look(&self, asked: &LookupRequest) -> Vec<Row> {
        let mut images = Vec::new();
        let mut of_member = |member: &Member| {
            images.push(Image::Member(member.clone()));
            let theirs = self.state.coupons.values().flatten();
            let theirs = theirs.filter(|coupon| coupon.member == Some(member.id));
            images.extend(theirs.cloned().map(Image::Coupon));
            let account = self.state.accounts.get(&member.id).cloned().flatten();
            images.push(Image::Account(account.unwrap_or(Account::new(member.id)).told()));
        };
        let members = || self.state.members.values().flatten();
        match asked {
            LookupRequest::Member(id) => members().filter(|member| member.id == *id).for_each(&mut of_member),
            LookupRequest::MemberNumber(number) => {
                members()
                    .filter(|member| member.number == *number)
                    .for_each(&mut of_member);
            }
            LookupRequest::Phone(phone) => members().filter(|member| member.phone == *phone).for_each(|member| {
                of_member(&Member {
                    phone: mask_phone(phone),
                    ..member.clone()
                });
            }),
            LookupRequest::Coupon(id) => {
                images.extend(self.state.coupons.get(id).cloned().flatten().map(Image::Coupon))
            }
            LookupRequest::CouponCode(code) => {
                let found = self
                    .state
                    .coupons
                    .values()
                    .flatten()
                    .filter(|coupon| coupon.code == *code);
                images.extend(found.cloned().map(Image::Coupon));
            }
            LookupRequest::PickupCode(_) | LookupRequest::Order(_) => {}
        }
        images.into_iter().map(|image| Row { version: 50, image }).collect()
    }

    fn decide(&mut self, command: &Command) -> (Answer, Changes) {
        loop {
            match decide(&self.state, command, self.now) {
                Ok(decided) => return decided,
                Err(missing) => {
                    missing.0.into_iter().for_each(|key| self.state.note_missing(key));
                }
            }
        }
    }

    /// An operation of some device arrives.
    pub fn arrive(&mut self, arrival: &Arrival) -> Answer {
        let (answer, changes) = self.decide(&Command::Operation(arrival.clone()));
        self.state.absorb(&changes);
        let ours: Vec<Entity> = changes
            .feed
            .iter()
            .filter(|(store, _)| *store == store_id(1))
            .map(|(_, entity)| *entity)
            .collect();
        ours.into_iter().for_each(|entity| self.tell(entity));
        for Card { member, .. } in changes.cards.iter().filter(|card| card.store == store_id(1)) {
            self.tell(Entity::Member(*member));
            let coupons = self.state.coupons.values().flatten();
            let theirs: Vec<CouponId> = coupons
                .filter(|coupon| coupon.member == Some(*member))
                .map(|coupon| coupon.id)
                .collect();
            theirs.into_iter().for_each(|id| self.tell(Entity::Coupon(id)));
        }
        if let Answer::Done {
            outcome,
            replayed: false,
        } = answer
        {
            self.outcomes.insert(arrival.id, (outcome, self.next_feed - 1));
        }
        answer
    }

    /// Another shop's device redeems a coupon or collects an order.
    pub fn elsewhere(&mut self, action: Action) {
        let there = self.state.devices[&device(2)].clone().unwrap();
        let seq = there.last_seq + 1;
        self.arrive(&Arrival {
            id: OperationId::new(
                self.now,
                [
                    11,
                    u8::try_from(seq % 250).unwrap(),
                    (seq / 250) as u8,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    9,
                ],
            ),
            device: there.id,
            epoch: there.epoch,
            seq,
            prev_hash: there.last_hash,
            fingerprint: [u8::try_from(seq % 250).unwrap(); 32],
            actor: None,
            occurred_at: self.now,
            action: Some(action),
            body: Arc::from(&b"{}"[..]),
        });
    }

    /// Restored from this copy.
    pub fn restored_from(&mut self, copy: &Self, n: u8) {
        *self = Self {
            history: history(n),
            now: self.now,
            ..copy.clone()
        };
    }

    fn device_view(&self) -> DeviceView {
        let device = self.state.devices[&device(1)].clone().unwrap();
        DeviceView {
            status: device.status,
            epoch: device.epoch,
            last_applied_seq: device.last_seq,
        }
    }

    /// `POST /v1/sync`.
    pub fn sync(&mut self, request: &SyncRequest) -> Result<SyncResponse, Failure> {
        if request.history_id != self.history {
            let view = self.device_view();
            return Err(Failure::Problem(Box::new(Problem {
                server_time: Some(self.now),
                expected_seq: Some(view.last_applied_seq + 1),
                epoch: Some(view.epoch),
                history_id: Some(self.history),
                ..Problem::new(Code::HistoryChanged)
            })));
        }
        let mut outcomes = Vec::new();
        let mut stopped = None;
        for text in &request.operations {
            let (_, arrival) = open(0, text.get()).unwrap();
            match self.arrive(&arrival) {
                Answer::Done { outcome, replayed } => {
                    // One that was quarantined beside another at the same place has no row of its own.
                    let feed = self
                        .outcomes
                        .get(&arrival.id)
                        .map_or(self.next_feed - 1, |(_, feed)| *feed);
                    outcomes.push(OperationOutcome {
                        epoch: arrival.epoch,
                        seq: arrival.seq,
                        op_id: arrival.id,
                        outcome,
                        replayed,
                        feed,
                    });
                }
                Answer::Gap { expected } => {
                    stopped = Some(Stopped::Gap { expected_seq: expected });
                    break;
                }
                Answer::Fork => {
                    stopped = Some(Stopped::Fork);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        Ok(SyncResponse {
            history_id: self.history,
            server_time: self.now,
            device: self.device_view(),
            outcomes,
            stopped,
            page: (request.page_rows > 0).then(|| self.page(request.cursor, request.page_rows)),
        })
    }

    /// An answer as the counter reads it.
    pub fn as_read(&self, response: &SyncResponse) -> SyncResponse {
        let mut sent = serde_json::to_value(response).unwrap();
        if let Some(rows) = sent.pointer_mut("/page/rows").filter(|_| self.newer) {
            for row in rows.as_array_mut().unwrap() {
                if row["entity"] == "order" {
                    row["entity"] = "parcel".into();
                } else if row["row"]["id"] == coupon_id(0).to_string() {
                    row["row"]["state"] = "elsewhere".into();
                }
            }
        }
        serde_json::from_value(sent).unwrap()
    }

    fn page(&self, from: Cursor, limit: i64) -> Page {
        let mut rows = Vec::new();
        if from.tenant_seq == 0 {
            rows.extend(self.fixed.iter().map(|image| Row {
                version: 1,
                image: image.clone(),
            }));
            let image = Image::Limits(StoreLimits {
                store: store_id(1),
                limits: self.limits,
            });
            rows.push(Row { version: 1, image });
        }
        let news: Vec<_> = self.feed.iter().filter(|(seq, _)| *seq > from.store_seq).collect();
        let taken: Vec<_> = news.iter().take(usize::try_from(limit).unwrap()).collect();
        for (_, entity) in &taken {
            let mut image = match (entity.subject(), entity) {
                (Some(subject), _) => image_of(subject, &self.state).unwrap(),
                (None, Entity::Member(id)) => Image::Member(self.state.members[id].clone().unwrap()),
                (None, other) => panic!("nothing tells of {other:?} here"),
            };
            // A use too many is head office's to know.
            match &mut image {
                Image::Coupon(row) => row.surplus.clear(),
                Image::Order(row) => row.surplus.clear(),
                Image::Account(row) => *row = row.clone().told(),
                _ => {}
            }
            rows.push(Row {
                version: self.versions[entity],
                image,
            });
        }
        let more = news.len() > taken.len();
        let store_seq = if more {
            taken.last().map_or(from.store_seq, |(seq, _)| *seq)
        } else {
            self.next_feed - 1
        };
        Page {
            rows,
            cursor: Cursor {
                tenant_seq: 1,
                tenant_mark: 1,
                store_seq,
                store_mark: 1,
            },
            more,
            unread: Vec::new(),
        }
    }
}
