//! Makes up questions.

use std::collections::BTreeMap;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use super::{
    case::{Case, CaseToken, World},
    messages::message,
    neighbours::{METHODS, rename_project},
    rows::{PROJECTS, change_role, world},
    vocabulary::Vocabulary,
};
use crate::decision::schema::{self, Shape, field};

/// The moment of every question.
const NOW: i64 = 1_800_000_000;

/// Makes up questions from a vocabulary.
#[derive(Debug)]
pub(super) struct Generator<'a> {
    vocabulary: &'a Vocabulary,
    world: Option<World>,
}

impl<'a> Generator<'a> {
    /// `world` is data to ask over in place of made-up data.
    pub(super) fn new(vocabulary: &'a Vocabulary, world: Option<World>) -> Self {
        Self { vocabulary, world }
    }

    /// Whether the data is made up, and so may be made smaller.
    pub(super) fn makes_data(&self) -> bool {
        self.world.is_none()
    }

    /// A new question.
    pub(super) fn case(&self, random: &mut StdRng) -> Case {
        let world = self.world.clone().unwrap_or_else(|| self.made_up(random));
        let mut case = Case {
            token: None,
            method: "GET".into(),
            path: Vec::new(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            host: None,
            gateway: random.random_bool(0.3).then(|| "g1".to_owned()),
            upstream: None,
            mcp: None,
            context: json!({}),
            now: NOW,
            world,
        };
        case.token = random.random_bool(0.88).then(|| self.token(&case, random));
        case.method = self.method(random);
        case.path = self.path(&case, random);
        case.headers = self.headers(random);
        case.upstream = self.upstream(&case, random);
        case.mcp = message(&case, self.word(random), random);
        case.query = self.query(random);
        case.host = random.random_bool(0.2).then(|| "api.example".to_owned());
        if random.random_bool(0.1) {
            case.context = json!({self.word(random): self.word(random)});
        }
        case
    }

    /// The same question with one or two things about it changed.
    pub(super) fn changed(&self, case: &Case, random: &mut StdRng) -> Case {
        let mut changed = case.clone();
        for _ in 0..random.random_range(1..=2) {
            self.change(&mut changed, random);
        }
        if changed.is_possible() { changed } else { self.case(random) }
    }

    fn change(&self, case: &mut Case, random: &mut StdRng) {
        match random.random_range(0..40) {
            0..6 => case.path = self.path(case, random),
            6..14 => self.change_segment(case, random),
            14..18 => case.path.push(self.segment(case, random)),
            18 => drop(case.path.pop()),
            19..22 => case.method = self.method(random),
            22..24 => case.headers = self.headers(random),
            24 if self.makes_data() => case.world = self.made_up(random),
            25..29 if self.makes_data() => change_role(&mut case.world, random),
            29 => case.token = random.random_bool(0.7).then(|| self.token(case, random)),
            30 => case.upstream = self.upstream(case, random),
            31 => case.mcp = message(case, self.word(random), random),
            32 if self.makes_data() => {
                // A project whose name the policies know.
                let from = case.path.iter().find(|segment| case.world.projects.contains_key(*segment));
                let from = from.cloned();
                rename_project(case, from.as_deref(), &self.project(random));
            }
            _ => {
                let Some(mut token) = case.token.clone() else { return };
                let other = self.token(case, random);
                match random.random_range(0..7) {
                    0 => token.user_id = other.user_id,
                    1 => token.scope_push = !token.scope_push,
                    2 => token.allow_trigger = !token.allow_trigger,
                    3 if token.kind != "session" => token.projects = other.projects,
                    4 => token.project_id = other.project_id,
                    5 => token.tools = other.tools.filter(|_| token.kind == "mcp"),
                    _ => {
                        token.projects = token.projects.filter(|_| other.kind != "session");
                        token.tools = token.tools.filter(|_| other.kind == "mcp");
                        token.kind = other.kind;
                    }
                }
                case.token = Some(token);
            }
        }
    }

    fn change_segment(&self, case: &mut Case, random: &mut StdRng) {
        let segment = self.segment(case, random);
        let length = case.path.len();
        if let Some(place) = length.checked_sub(1).map(|last| random.random_range(0..=last)) {
            // Where it ends is where routes differ most.
            let place = if random.random_bool(0.4) { length - 1 } else { place };
            case.path[place] = segment;
        }
    }

    /// Made-up data, sometimes with a project of which policies speak.
    fn made_up(&self, random: &mut StdRng) -> World {
        let mut world = world(random);
        let known = self.vocabulary.projects.choose(random).filter(|_| random.random_bool(0.2));
        if let ([.., last], Some(known)) = (PROJECTS, known) {
            world.rename_project(last, known);
        }
        world
    }

    /// A project that the policies know by name.
    fn project(&self, random: &mut StdRng) -> String {
        let known = self.vocabulary.projects.choose(random).filter(|_| random.random_bool(0.7));
        known.cloned().unwrap_or_else(|| self.word(random))
    }

    fn token(&self, case: &Case, random: &mut StdRng) -> CaseToken {
        let kind = one_of(field(&schema::INPUT, &["token", "kind"]), random);
        self.token_of(kind, case, random)
    }

    /// A token of this kind.
    pub(super) fn token_of(&self, kind: String, case: &Case, random: &mut StdRng) -> CaseToken {
        let users: Vec<&String> = case.world.users.keys().collect();
        let user_id = users.choose(random).filter(|_| kind != "gateway" && random.random_bool(0.9));
        let projects: Vec<&String> = case.world.projects.keys().collect();
        let project_id = projects.choose(random).filter(|_| kind == "project" || random.random_bool(0.1));
        let listed = random.random_bool(0.3).then(|| {
            let listed = projects.iter().filter(|_| random.random_bool(0.5)).map(|id| (*id).clone());
            let listed: Vec<String> = listed.collect();
            let expiry =
                |random: &mut StdRng| *[None, Some(NOW - 1), Some(NOW), Some(NOW + 1)].choose(random)?;
            listed.into_iter().map(|id| (id, expiry(random))).collect()
        });
        // A session is a person's, and is confined to no list.
        let listed = listed.filter(|_| kind != "session");
        CaseToken {
            allow_trigger: random.random_bool(0.5),
            expires_at: random.random_bool(0.3).then_some(NOW + 1_000),
            id: "t1".into(),
            project_id: project_id.map(|id| (*id).clone()),
            projects: listed,
            scope_pull: random.random_bool(0.5),
            scope_push: random.random_bool(0.5),
            tenant: "default".into(),
            tools: (kind == "mcp" && random.random_bool(0.2)).then(|| vec![self.word(random)]),
            user_id: user_id.filter(|_| kind != "project").map(|id| (*id).clone()),
            kind,
        }
    }

    fn method(&self, random: &mut StdRng) -> String {
        match self.vocabulary.methods.choose(random) {
            Some(method) if random.random_bool(0.2) => method.clone(),
            _ if random.random_bool(0.4) => "GET".to_owned(),
            _ => (*METHODS.choose(random).unwrap_or(&"GET")).to_owned(),
        }
    }

    fn word(&self, random: &mut StdRng) -> String {
        self.vocabulary.words.choose(random).cloned().unwrap_or_else(|| "x".to_owned())
    }

    fn segment(&self, case: &Case, random: &mut StdRng) -> String {
        let id = |ids: Vec<&String>, random: &mut StdRng| ids.choose(random).map(|id| (*id).clone());
        let word = match random.random_range(0..20) {
            0..3 => id(case.world.projects.keys().collect(), random),
            // What the caller may know of.
            3..7 => {
                let user = case.token.as_ref().and_then(|token| token.user_id.as_ref());
                let of_user = case
                    .world
                    .collaborators
                    .iter()
                    .filter(|(_, members)| user.is_some_and(|user| members.contains_key(user)));
                let of_token = case.token.as_ref().and_then(|token| token.project_id.as_ref());
                let own: Vec<&String> = of_user.map(|(project, _)| project).chain(of_token).collect();
                id(own, random).or_else(|| id(case.world.projects.keys().collect(), random))
            }
            7 => id(case.world.users.keys().collect(), random),
            8 | 9 => Some("x".to_owned()),
            10 => Some("7".to_owned()),
            11..15 => self.vocabulary.named.choose(random).cloned(),
            _ => None,
        };
        let word = word.unwrap_or_else(|| self.word(random));
        // Upper and lower case are the same to some routers.
        if random.random_bool(0.05) { word.to_uppercase() } else { word }
    }

    fn path(&self, case: &Case, random: &mut StdRng) -> Vec<String> {
        let mut path: Vec<String> = match self.vocabulary.routes.choose(random) {
            Some(route) if random.random_bool(0.9) => {
                let filled =
                    route.iter().map(|part| part.clone().unwrap_or_else(|| self.segment(case, random)));
                filled.collect()
            }
            _ => Vec::new(),
        };
        let more = *[0, 1, 1, 2, 2, 3, 4].choose(random).unwrap_or(&0);
        path.extend((0..more).map(|_| self.segment(case, random)));
        path
    }

    fn headers(&self, random: &mut StdRng) -> BTreeMap<String, String> {
        let count = *[0, 0, 0, 1, 2].choose(random).unwrap_or(&0);
        let mut headers = BTreeMap::new();
        for _ in 0..count {
            let name = self.vocabulary.headers.choose(random).cloned().unwrap_or_else(|| "accept".into());
            let value = if random.random_bool(0.5) { self.method(random) } else { self.word(random) };
            headers.insert(name, value);
        }
        headers
    }

    fn query(&self, random: &mut StdRng) -> BTreeMap<String, Vec<String>> {
        if random.random_bool(0.9) {
            return BTreeMap::new();
        }
        [(self.word(random), vec![self.word(random)])].into()
    }

    fn upstream(&self, case: &Case, random: &mut StdRng) -> Option<(String, bool, String)> {
        let ids: Vec<&String> = case.world.upstreams.keys().collect();
        let id = ids.choose(random).filter(|_| random.random_bool(0.2))?;
        let credential = one_of(field(&schema::INPUT, &["upstream", "credential"]), random);
        Some(((*id).clone(), random.random_bool(0.5), credential))
    }
}

/// One of the texts that a shape has.
pub(super) fn one_of(shape: Option<Shape>, random: &mut StdRng) -> String {
    match shape {
        Some(Shape::OneOf(texts)) => (*texts.choose(random).unwrap_or(&"")).to_owned(),
        _ => String::new(),
    }
}
