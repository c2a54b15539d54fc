//! The list of requests: who asks for what, made one after the other from a seed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::arrivals::{Arrivals, Surge, Traffic};
use super::zipf::Zipf;
use crate::topology::{ITEMS, USERS};

/// Customers in the shop at the same time. Each arrival is the next step of one of them.
const SESSIONS: usize = 64;
const ZIPF_EXPONENT: f64 = 1.1;
const TENANTS: u32 = 20;
const CART_ITEMS_MAX: usize = 5;
/// Share of the requests that partners make, who have no session.
const PARTNER_PERCENT: u32 = 2;

/// Regions and how many of a hundred customers are there.
const REGIONS: [(&str, u32); 3] = [("eu", 50), ("us", 35), ("ap", 15)];
/// Versions of the app and how many of a hundred customers have them.
const APP_VERSIONS: [(&str, u32); 2] = [("5.1.0", 80), ("5.2.0", 20)];

/// What to plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The same options make the same list.
    pub seed: u64,
    /// Requests a second on average, before the day and bursts.
    pub rate_per_s: f64,
    /// How the rate changes.
    pub traffic: Traffic,
    /// When to stop; never, if none.
    pub duration: Option<Duration>,
    /// Customers there are, numbered from 1.
    pub users: u32,
    /// Items there are, numbered from 1 by popularity.
    pub items: u32,
    /// What a scenario changes in it.
    pub change: Option<Change>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            rate_per_s: 40.0,
            traffic: Traffic::Lively,
            duration: None,
            users: USERS,
            items: ITEMS,
            change: None,
        }
    }
}

/// What a scenario changes in the traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// There is more of it.
    Surge(Surge),
    /// Of the orders from `from` to `to`, this share is made by one customer.
    Favourite {
        /// The customer's number, from 1.
        user: u32,
        /// In percent.
        percent: u32,
        /// When it begins.
        from: Duration,
        /// When it is over.
        to: Duration,
    },
}

/// One request, before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When to send it, from the start of the run.
    pub at: Duration,
    /// Number of the session, from 1; 0 for partners, who have none.
    pub session: u64,
    /// What is asked for.
    pub step: Step,
    /// Who asks.
    pub user: u32,
    /// The customer's tenant, from 1.
    pub tenant: u32,
    /// Where the customer is.
    pub region: &'static str,
    /// The version of the customer's app.
    pub app_version: &'static str,
    /// What is viewed, put into the cart or ordered.
    pub items: Vec<Item>,
}

/// An item and how many of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub item: u32,
    /// At least one.
    pub quantity: u32,
}

/// A step of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Signs in.
    Login,
    /// A page of items.
    Browse,
    /// One item.
    View,
    /// The customer's profile.
    Profile,
    /// Puts an item into the cart.
    Add,
    /// Orders what is in the cart.
    Order,
    /// Pays the order.
    Pay,
    /// Looks the order up.
    LookUp,
    /// All orders of the customer.
    List,
    /// A partner asks what is in stock.
    Partner,
}

impl Step {
    /// All steps.
    pub const ALL: [Step; 10] = [
        Step::Login,
        Step::Browse,
        Step::View,
        Step::Profile,
        Step::Add,
        Step::Order,
        Step::Pay,
        Step::LookUp,
        Step::List,
        Step::Partner,
    ];

    /// The steps that may follow, in percent; the rest of a hundred leave.
    fn next(self) -> &'static [(Step, u32)] {
        match self {
            Step::Login => &[(Step::Browse, 55), (Step::View, 30), (Step::Profile, 15)],
            Step::Browse => &[(Step::View, 80), (Step::Browse, 10)],
            Step::View => &[(Step::Add, 65), (Step::View, 15), (Step::Browse, 10)],
            Step::Profile => &[(Step::Browse, 60), (Step::List, 30)],
            Step::Add => &[(Step::Order, 70), (Step::View, 20), (Step::Browse, 5)],
            Step::Order => &[(Step::Pay, 85), (Step::LookUp, 12)],
            Step::Pay => &[(Step::LookUp, 70), (Step::List, 10), (Step::View, 15)],
            Step::LookUp => &[(Step::LookUp, 10), (Step::View, 35), (Step::List, 10)],
            Step::List => &[(Step::LookUp, 40), (Step::View, 30)],
            Step::Partner => &[],
        }
    }
}

/// The requests in order: endless, unless the options have a duration.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    arrivals: Arrivals,
    random: StdRng,
    tenants: Zipf,
    items: Zipf,
    sessions: Vec<Option<Session>>,
    sessions_begun: u64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    step: Step,
    user: u32,
    tenant: u32,
    region: &'static str,
    app_version: &'static str,
    cart: Vec<Item>,
    has_ordered: bool,
}

impl Plan {
    /// A plan of which nothing is taken yet.
    pub fn new(options: Options) -> Plan {
        let surge = match options.change {
            Some(Change::Surge(surge)) => Some(surge),
            _ => None,
        };
        Plan {
            options,
            arrivals: Arrivals::new(options.seed, options.rate_per_s, options.traffic, surge),
            random: StdRng::seed_from_u64(options.seed ^ 0x5e55_1095),
            tenants: Zipf::new(TENANTS, ZIPF_EXPONENT),
            items: Zipf::new(options.items, ZIPF_EXPONENT),
            sessions: (0..SESSIONS).map(|_| None).collect(),
            sessions_begun: 0,
        }
    }

    /// The next step of a customer chosen by chance; one who has left makes place for another.
    fn request(&mut self, at: Duration) -> Planned {
        let chosen = self.random.random_range(0..SESSIONS);
        let session = match self.sessions[chosen].take() {
            Some(session) => session,
            None => self.begin(),
        };
        let (planned, session) = self.advance(at, session);
        self.sessions[chosen] = session;
        planned
    }

    fn begin(&mut self) -> Session {
        self.sessions_begun += 1;
        let (tenant, user) = self.person();
        Session {
            number: self.sessions_begun,
            step: Step::Login,
            user,
            tenant,
            region: draw(&REGIONS, &mut self.random),
            app_version: draw(&APP_VERSIONS, &mut self.random),
            cart: Vec::new(),
            has_ordered: false,
        }
    }

    /// A tenant, and one of its customers.
    fn person(&mut self) -> (u32, u32) {
        let tenant = self.tenants.draw(&mut self.random);
        let per_tenant = (self.options.users / TENANTS).max(1);
        let user = tenant + TENANTS * self.random.random_range(0..per_tenant);
        (tenant, user.min(self.options.users.max(1)))
    }

    /// The request of this step, and the session if the customer stays.
    fn advance(&mut self, at: Duration, mut session: Session) -> (Planned, Option<Session>) {
        let step = session.step;
        if let Some(user) = self.favourite(at, step) {
            (session.user, session.tenant) = (user, tenant_of(user));
        }
        let items = self.items_of(&mut session);
        let planned = Planned {
            at,
            session: session.number,
            step,
            user: session.user,
            tenant: session.tenant,
            region: session.region,
            app_version: session.app_version,
            items,
        };
        let next = self.next_step(&session);
        session.step = next.unwrap_or(step);
        (planned, next.map(|_| session))
    }

    fn items_of(&mut self, session: &mut Session) -> Vec<Item> {
        match session.step {
            Step::View => vec![self.item(1)],
            Step::Add => {
                let item = self.item(3);
                session.cart.retain(|old| old.item != item.item);
                session.cart.push(item);
                vec![item]
            }
            Step::Order => {
                session.has_ordered = true;
                std::mem::take(&mut session.cart)
            }
            _ => Vec::new(),
        }
    }

    fn item(&mut self, quantity_max: u32) -> Item {
        let item = self.items.draw(&mut self.random);
        Item { item, quantity: self.random.random_range(1..=quantity_max) }
    }

    /// Who orders instead, while a scenario has a favourite.
    fn favourite(&mut self, at: Duration, step: Step) -> Option<u32> {
        let Some(Change::Favourite { user, percent, from, to }) = self.options.change else {
            return None;
        };
        let is_hit = step == Step::Order && (from..to).contains(&at);
        (is_hit && self.random.random_range(0..100) < percent).then_some(user)
    }

    /// What the customer does next. A full cart is ordered; nobody looks up what is not ordered.
    fn next_step(&mut self, session: &Session) -> Option<Step> {
        if session.step == Step::Add && session.cart.len() >= CART_ITEMS_MAX {
            return Some(Step::Order);
        }
        let mut ball = self.random.random_range(0..100);
        for &(step, percent) in session.step.next() {
            if ball < percent {
                let is_early = step == Step::LookUp && !session.has_ordered;
                return Some(if is_early { Step::Browse } else { step });
            }
            ball -= percent;
        }
        None
    }

    fn partner(&mut self, at: Duration) -> Planned {
        let (tenant, user) = self.person();
        let region = REGIONS.choose(&mut self.random).map_or("", |(region, _)| region);
        let items = vec![self.item(1)];
        let app_version = "partner";
        Planned { at, session: 0, step: Step::Partner, user, tenant, region, app_version, items }
    }
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let at = self.arrivals.next()?;
        if self.options.duration.is_some_and(|duration| at >= duration) {
            return None;
        }
        if self.random.random_range(0..100) < PARTNER_PERCENT {
            return Some(self.partner(at));
        }
        Some(self.request(at))
    }
}

/// Customers 1, 21, 41… are those of the first tenant, and so on.
fn tenant_of(user: u32) -> u32 {
    (user - 1) % TENANTS + 1
}

/// One of a list, by percent.
fn draw(of: &[(&'static str, u32)], random: &mut impl Rng) -> &'static str {
    let chosen = of.choose_weighted(random, |(_, percent)| *percent);
    chosen.map_or("", |(name, _)| name)
}
