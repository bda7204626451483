//! Who waits for whom: deliveries about one thing form a lane and go one after another, lanes go beside each other.
//! What only stops work may overtake what waits for the forge: whatever starts looks at the forge again before it does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::event::{Event, MergeGroupAction};
use crate::domain::names::RepoName;
use crate::store::Delivery;

/// Deliveries of one repository that are kept in mind while they wait for their time, or for one that does.
const MOST_WAITING: usize = 200;

/// A delivery as it waits.
pub(super) struct Item {
    pub(super) seq: i64,
    pub(super) guid: String,
    pub(super) event: Event,
    pub(super) received_at: Timestamp,
    tries: u32,
    /// How often it was put off for the test merge alone, since we started.
    looks: u32,
    not_before: Timestamp,
}

impl Item {
    pub(super) fn new(delivery: Delivery, event: Event) -> Self {
        Self {
            seq: delivery.seq,
            guid: delivery.guid,
            event,
            received_at: delivery.received_at,
            tries: delivery.tries,
            looks: 0,
            not_before: delivery.next_try_at,
        }
    }

    /// How often it was put off.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// How often the forge was asked for a test merge that it had not made.
    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    fn tried(&self, tries: u32, not_before: Timestamp) -> Self {
        Self { guid: self.guid.clone(), event: self.event.clone(), tries, not_before, ..*self }
    }

    /// What it is about.
    fn lane(&self) -> String {
        match &self.event {
            Event::PullRequest(event) => format!("{}#{}", event.repo, event.number),
            Event::Comment(event) => format!("{}#{}", event.repo, event.number),
            Event::Push(event) => format!("{}:{}", event.repo, event.branch),
            Event::MergeGroup(event) => format!("{}@{}", event.repo, event.head),
            Event::CheckRequested(event) => format!("{}@{}", event.repo, event.head),
            Event::Status(event) => format!("{}@{} {}", event.repo, event.sha, event.context),
            Event::Installation(event) => format!("installation {}", event.installation),
            Event::Ping | Event::Ignored(_) => String::new(),
        }
    }

    /// Whether it only ever ends work.
    fn stops(&self) -> bool {
        match &self.event {
            Event::PullRequest(event) => event.action.only_ends(),
            Event::MergeGroup(event) => event.action == MergeGroupAction::Destroyed,
            Event::Installation(_) | Event::Ping | Event::Ignored(_) => true,
            Event::Comment(_) | Event::Push(_) | Event::CheckRequested(_) | Event::Status(_) => false,
        }
    }
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Arc<Item>>,
    /// Its delivery that is being acted upon.
    busy: Option<i64>,
}

impl Lane {
    /// Whether everything in it waits for the time of its first.
    fn waits(&self, now: Timestamp) -> bool {
        self.busy.is_none() && self.waiting.front().is_some_and(|first| first.not_before > now)
    }

    /// The delivery that may go now, by its place in the lane.
    fn ready(&self, now: Timestamp) -> Option<usize> {
        let due = |item: &Arc<Item>| item.not_before <= now;
        if self.busy.is_some() {
            return None;
        }
        match self.waiting.front() {
            Some(first) if due(first) => Some(0),
            _ => self.waiting.iter().position(|item| item.stops() && due(item)),
        }
    }
}

/// Every delivery in mind.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<String, Lane>,
    known: HashSet<i64>,
}

/// How many deliveries of each repository wait. One that has its share leaves the rest in the store.
#[derive(Default)]
pub(super) struct Shares {
    waiting: BTreeMap<RepoName, usize>,
    /// Repositories of which one was left in the store: what comes after it stays there too, so that order is kept.
    full: BTreeSet<RepoName>,
}

impl Shares {
    /// Counted anew; what was left in the store is not forgotten.
    pub(super) fn count(&mut self, lanes: &Lanes, now: Timestamp) {
        self.waiting.clear();
        for lane in lanes.waiting(now) {
            if let Some(repo) = lane.waiting.front().and_then(|item| item.event.repo()) {
                *self.waiting.entry(repo.clone()).or_default() += lane.waiting.len();
            }
        }
    }

    /// Whether the delivery may be kept in mind. What only ends work may always: it waits for nobody.
    pub(super) fn take(&mut self, item: &Item) -> bool {
        let Some(repo) = item.event.repo().filter(|_| !item.stops()) else { return true };
        let is_full = self.full.contains(repo) || self.waiting.get(repo).is_some_and(|count| *count >= MOST_WAITING);
        if is_full {
            self.full.insert(repo.clone());
        }
        !is_full
    }
}

impl Lanes {
    /// Deliveries in mind that can be acted upon.
    pub(super) fn moving(&self, now: Timestamp) -> usize {
        self.known.len() - self.waiting(now).map(|lane| lane.waiting.len()).sum::<usize>()
    }

    fn waiting(&self, now: Timestamp) -> impl Iterator<Item = &Lane> {
        self.lanes.values().filter(move |lane| lane.waits(now))
    }

    pub(super) fn knows(&self, seq: i64) -> bool {
        self.known.contains(&seq)
    }

    pub(super) fn add(&mut self, item: Item) {
        self.known.insert(item.seq);
        self.place(Arc::new(item));
    }

    /// The oldest delivery that may go now; its lane is busy until the delivery is settled or put off.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Arc<Item>> {
        let ready =
            self.lanes.values_mut().filter_map(|lane| lane.ready(now).map(|at| (lane.waiting[at].seq, at, lane)));
        let (seq, at, lane) = ready.min_by_key(|(seq, _, _)| *seq)?;
        lane.busy = Some(seq);
        lane.waiting.remove(at)
    }

    pub(super) fn settled(&mut self, item: &Item) {
        self.known.remove(&item.seq);
        self.free(item);
    }

    /// Nothing more is tried for it. Those behind it waited for the same, so its tries count for them too.
    pub(super) fn given_up(&mut self, item: &Item) {
        if let Some(lane) = self.lanes.get_mut(&item.lane()) {
            for other in &mut lane.waiting {
                *other = Arc::new(other.tried(item.tries.max(other.tries), other.not_before));
            }
        }
        self.settled(item);
    }

    /// It goes back to its place.
    pub(super) fn put_off(&mut self, item: &Arc<Item>, until: Timestamp) {
        self.again(item, until, item.looks);
    }

    /// The same, and it was for the test merge.
    pub(super) fn look_again(&mut self, item: &Arc<Item>, until: Timestamp) {
        self.again(item, until, item.looks + 1);
    }

    fn again(&mut self, item: &Arc<Item>, until: Timestamp, looks: u32) {
        self.free(item);
        self.place(Arc::new(Item { looks, ..item.tried(item.tries + 1, until) }));
    }

    /// When a delivery that waits may go; `None` where none waits for its time.
    pub(super) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.lanes.values().filter(|lane| lane.busy.is_none());
        idle.flat_map(|lane| lane.waiting.iter().map(|item| item.not_before)).filter(|at| *at > now).min()
    }

    fn place(&mut self, item: Arc<Item>) {
        let lane = self.lanes.entry(item.lane()).or_default();
        let at = lane.waiting.partition_point(|other| other.seq < item.seq);
        lane.waiting.insert(at, item);
    }

    fn free(&mut self, item: &Item) {
        let key = item.lane();
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.busy = None;
            if lane.waiting.is_empty() {
                self.lanes.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{CommentEvent, PullRequestAction, PullRequestEvent, PushEvent};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn item(seq: i64, event: Event) -> Item {
        let (guid, body) = (seq.to_string(), vec![]);
        let delivery =
            Delivery { seq, guid, event: String::new(), body, received_at: at(0), tries: 0, next_try_at: at(0) };
        Item::new(delivery, event)
    }

    fn comment(seq: i64, number: u64) -> Item {
        let repo = "acme/infra".parse().unwrap();
        let (author, body) = ("alice".to_owned(), "/test".to_owned());
        item(seq, Event::Comment(CommentEvent { repo, number, comment: 1, author, body, at: None }))
    }

    fn closed(seq: i64, number: u64) -> Item {
        let event = PullRequestEvent {
            action: PullRequestAction::Closed,
            repo: "acme/infra".parse().unwrap(),
            number,
            head: "a".repeat(40).parse().unwrap(),
            base: "b".repeat(40).parse().unwrap(),
            base_ref: "main".into(),
            draft: false,
            author: "alice".into(),
            sender: "alice".into(),
            pusher: None,
            sender_is_bot: false,
            labels: vec![],
            at: None,
        };
        item(seq, Event::PullRequest(event))
    }

    fn taken(lanes: &mut Lanes, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| lanes.next(at(now))).map(|item| item.seq).collect()
    }

    #[test]
    fn one_thing_after_another_and_others_beside() {
        let mut lanes = Lanes::default();
        let branch = PushEvent {
            repo: "acme/infra".parse().unwrap(),
            branch: "main".into(),
            after: "a".repeat(40).parse().unwrap(),
            sender: "alice".into(),
        };
        for item in [comment(1, 7), comment(2, 7), comment(3, 8), item(4, Event::Push(branch))] {
            lanes.add(item);
        }
        let first = lanes.next(at(0)).unwrap();
        assert_eq!((first.seq, taken(&mut lanes, 0)), (1, vec![3, 4]));
        lanes.settled(&first);
        assert_eq!(taken(&mut lanes, 0), [2]);
    }

    #[test]
    fn what_waits_holds_its_lane_up_but_not_what_ends_work() {
        let mut lanes = Lanes::default();
        lanes.add(comment(1, 1));
        lanes.add(comment(2, 1));
        lanes.add(closed(3, 1));
        let first = lanes.next(at(0)).unwrap();
        lanes.put_off(&first, at(60));
        assert_eq!(lanes.next_at(at(0)), Some(at(60)));
        let stop = lanes.next(at(0)).unwrap();
        assert_eq!((stop.seq, taken(&mut lanes, 0)), (3, vec![]));
        lanes.settled(&stop);
        assert_eq!((taken(&mut lanes, 59), taken(&mut lanes, 60)), (vec![], vec![1]));
    }

    #[test]
    fn a_repository_that_waits_has_its_share_and_no_more() {
        let (mut lanes, mut shares) = (Lanes::default(), Shares::default());
        for seq in 0_i64..300 {
            assert!(shares.take(&comment(seq, seq.unsigned_abs())), "nothing waits yet");
            lanes.add(comment(seq, seq.unsigned_abs()));
        }
        while let Some(item) = lanes.next(at(0)) {
            lanes.put_off(&item, at(60));
        }
        shares.count(&lanes, at(0));
        assert_eq!((lanes.moving(at(0)), lanes.moving(at(60))), (0, 300), "whoever waits keeps nobody out");
        assert!(!shares.take(&comment(301, 301)));
        assert!(shares.take(&closed(302, 301)), "what ends work waits for nobody");
        shares.count(&lanes, at(60));
        assert!(!shares.take(&comment(303, 301)), "one that came before it is still in the store");
        assert!(Shares::default().take(&comment(301, 301)), "read from the beginning");
    }

    #[test]
    fn those_behind_what_was_given_up_were_tried_as_often() {
        let mut lanes = Lanes::default();
        lanes.add(comment(1, 1));
        lanes.add(comment(2, 1));
        for _ in 0..101 {
            let first = lanes.next(at(0)).unwrap();
            lanes.put_off(&first, at(0));
        }
        let hopeless = lanes.next(at(0)).unwrap();
        lanes.given_up(&hopeless);
        let second = lanes.next(at(0)).unwrap();
        assert_eq!((hopeless.seq, second.seq, second.tries()), (1, 2, 101));
    }

    #[test]
    fn trouble_with_the_forge_is_no_look_at_a_test_merge() {
        let mut lanes = Lanes::default();
        lanes.add(comment(1, 1));
        for second in 0..30 {
            let item = lanes.next(at(second)).unwrap();
            lanes.put_off(&item, at(second + 1));
        }
        let item = lanes.next(at(30)).unwrap();
        assert_eq!((item.tries(), item.looks()), (30, 0));
        lanes.look_again(&item, at(31));
        assert_eq!(lanes.next(at(31)).unwrap().looks(), 1);
    }
}
