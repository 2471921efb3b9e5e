//! `search`: connectors and operations by words, the same with the daemon and without.

use std::cmp::Reverse;

use clap::Args;
use fcp_api::routes::{ListConnectors, ListOperations};
use fcp_api::types::{ConnectorQuery, Nothing, OperationSummary, Source};
use serde::Serialize;

use super::discover::{CONNECTORS, DAMAGED, OFFLINE, OPERATIONS, about_first};
use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Result, offline};

/// Finds connectors and operations.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc search issues\n  fwc search issue create\n  fwc search mail --offline"
)]
pub(crate) struct Search {
    /// Words that all must occur in a connector's or an operation's name or description
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
}

/// `fwc search`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(args: Search, context: &mut Context) -> Result<Outcome> {
    let words = Words::of(&args.words);
    if context.is_offline() {
        let manifests = offline::Manifests::read(&context.home)?;
        let found = Found::among(manifests.searched(), &words, manifests.damaged());
        return Ok(found.shown(Source::Offline)?.note(OFFLINE).or_failed(manifests.failure()));
    }
    let client = context.client()?;
    let reply = client.get::<ListConnectors>(&[], &ConnectorQuery { zone: None, search: None }).await?;
    let mut all = Vec::new();
    for connector in reply.body.connectors {
        let listed = client.get::<ListOperations>(&[connector.id.as_str()], &Nothing {}).await?;
        let text = format!("{} {} {}", connector.id, connector.name, connector.description);
        all.push(Searched { connector, text, operations: listed.body.operations });
    }
    Found::among(all, &words, &[]).shown(reply.meta.source).map(Outcome::from)
}

/// A connector that is searched.
pub(crate) struct Searched<C> {
    /// What is shown of it.
    pub(crate) connector: C,
    /// What it is called and what it is, in its own words.
    pub(crate) text: String,
    /// What it does.
    pub(crate) operations: Vec<OperationSummary>,
}

/// What a search found.
#[derive(Serialize)]
struct Found<'a, C> {
    connectors: Vec<C>,
    operations: Vec<OperationSummary>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    damaged: &'a [offline::Damaged],
}

impl<'a, C: Serialize> Found<'a, C> {
    /// Those of which all words are said, and of their operations those that are meant, which say most of the words themselves
    /// first.
    //= docs/spec/output.md#fwc-search
    fn among(
        all: impl IntoIterator<Item = Searched<C>>,
        words: &Words,
        damaged: &'a [offline::Damaged],
    ) -> Self {
        let (mut connectors, mut operations) = (Vec::new(), Vec::new());
        for Searched { connector, text, operations: own } in all {
            let of_connector = words.said_by(&text);
            let own: Vec<_> = own.into_iter().map(|it| (words.said_by(&text_of(&it)), it)).collect();
            if words.all(|word| of_connector[word] || own.iter().any(|(said, _)| said[word])) {
                connectors.push(connector);
                operations.extend(meant(words, &of_connector, own));
            }
        }
        operations.sort_by_key(|(said, _)| Reverse(*said));
        Self { connectors, operations: operations.into_iter().map(|(_, it)| it).collect(), damaged }
    }

    fn shown(&self, source: Source) -> Result<Answer> {
        let answer = Answer::local(self, source)?;
        let answer = answer.section("connectors", &CONNECTORS).section("operations", &OPERATIONS);
        let answer = answer.section("damaged", &DAMAGED);
        Ok(about_first(&self.operations).into_iter().fold(answer, Answer::next))
    }
}

/// The operations of a connector that the words mean, each with how many of the words are its own: where its own text says at
/// least one, and the connector's the others; all of them, where no operation says any.
fn meant(
    words: &Words,
    of_connector: &[bool],
    operations: Vec<(Vec<bool>, OperationSummary)>,
) -> Vec<(usize, OperationSummary)> {
    let count = |said: &[bool]| said.iter().filter(|it| **it).count();
    let silent = operations.iter().all(|(said, _)| count(said) == 0);
    let fits =
        |said: &[bool]| silent || (count(said) > 0 && words.all(|word| said[word] || of_connector[word]));
    operations.into_iter().filter(|(said, _)| fits(said)).map(|(said, it)| (count(&said), it)).collect()
}

/// What an operation itself says. The connector's id, with which the ids of all of its operations begin, is none of that.
fn text_of(operation: &OperationSummary) -> String {
    let id = operation.id.as_str();
    format!("{} {}", id.split_once('.').map_or(id, |(_, own)| own), operation.description)
}

/// The words that are searched for, each in the forms that count as the same: one thing, or several of it.
struct Words(Vec<Vec<String>>);

impl Words {
    fn of(typed: &[String]) -> Self {
        let words = typed.iter().flat_map(|it| it.split(|c: char| !c.is_alphanumeric()));
        Self(words.filter(|word| !word.is_empty()).map(|word| forms(&word.to_lowercase())).collect())
    }

    /// Which of the words `text` says, each at its place.
    fn said_by(&self, text: &str) -> Vec<bool> {
        let text = text.to_lowercase();
        self.0.iter().map(|forms| forms.iter().any(|form| text.contains(form))).collect()
    }

    fn all(&self, holds: impl FnMut(usize) -> bool) -> bool {
        (0..self.0.len()).all(holds)
    }
}

/// `word`, and what it is in the singular. Its plural holds it, but for those in `ies`.
fn forms(word: &str) -> Vec<String> {
    let without =
        |ending: &str| word.strip_suffix(ending).filter(|stem| stem.chars().count() >= SHORTEST_STEM);
    let several = without("y").map(|stem| format!("{stem}ies"));
    let one = [
        without("ies").map(|stem| format!("{stem}y")),
        without("es").filter(|stem| stem.ends_with(['s', 'x', 'z', 'h'])).map(str::to_owned),
        without("s").filter(|stem| !stem.ends_with('s')).map(str::to_owned),
    ];
    std::iter::once(word.to_owned()).chain(several).chain(one.into_iter().flatten()).collect()
}

/// No ending is taken from a word of which fewer letters would remain: they stand in too many other words.
const SHORTEST_STEM: usize = 3;

#[cfg(test)]
mod tests {
    use fcp_proto_core::zone::{Approval, Idempotency, Risk, SafetyTier};

    use super::*;

    fn operation(id: &str, description: &str) -> OperationSummary {
        OperationSummary {
            id: id.parse().unwrap(),
            description: description.into(),
            capability: "github.read".parse().unwrap(),
            risk: Risk::Low,
            tier: SafetyTier::Safe,
            idempotency: Idempotency::None,
            approval: Approval::None,
        }
    }

    fn github() -> Searched<&'static str> {
        Searched {
            connector: "github",
            text: "github GitHub Repositories, issues and pull requests on GitHub.".into(),
            operations: vec![
                operation("github.commits.list", "Lists the commits of a branch."),
                operation("github.issues.create", "Opens an issue."),
                operation("github.issues.list", "Lists the issues of a repository."),
                operation("github.repos.get", "Reads a repository."),
            ],
        }
    }

    fn found(words: &[&str]) -> (Vec<&'static str>, Vec<String>) {
        let typed: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let notes = Searched {
            connector: "notes",
            text: "notes Notes A box of notes.".into(),
            operations: vec![operation("notes.read", "Reads one."), operation("notes.write", "Writes one.")],
        };
        let found = Found::among([github(), notes], &Words::of(&typed), &[]);
        (found.connectors, found.operations.iter().map(|it| it.id.to_string()).collect())
    }

    //= docs/spec/output.md#fwc-search
    #[test]
    fn what_the_connector_says_too_is_found_in_its_operations() {
        let issues = ["github.issues.create", "github.issues.list"];
        for words in [&["issues"][..], &["issue"], &["ISSUES"], &["github", "issues"], &["github.issues"]] {
            assert_eq!(found(words), (vec!["github"], issues.map(str::to_owned).to_vec()), "{words:?}");
        }
    }

    //= docs/spec/output.md#fwc-search
    #[test]
    fn operations_that_say_more_of_the_words_themselves_come_first() {
        let listing = ["github.issues.list", "github.commits.list"];
        assert_eq!(found(&["list", "issues"]).1, listing, "`issues` is the connector's word for the second");
        assert_eq!(found(&["list issues"]).1, listing);
        assert_eq!(found(&["repository", "list"]).1[0], "github.issues.list");
    }

    //= docs/spec/output.md#fwc-search
    #[test]
    fn a_word_of_the_connector_alone_finds_all_that_it_does() {
        assert_eq!(found(&["pull", "requests"]).1.len(), 4);
        assert_eq!(found(&["notes"]), (vec!["notes"], vec!["notes.read".into(), "notes.write".into()]));
    }

    //= docs/spec/output.md#fwc-search
    #[test]
    fn one_and_several_are_the_same_word() {
        for (one, several) in [("issue", "issues"), ("repository", "repositories"), ("box", "boxes")] {
            assert_eq!(found(&[one]), found(&[several]), "{one}");
            assert_eq!(found(&[one]).0.len(), 1, "{one}");
        }
        assert_eq!(found(&["ones"]).1, ["notes.read", "notes.write"]);
        assert_eq!(found(&["issuance"]), (Vec::new(), Vec::new()));
    }

    //= docs/spec/output.md#fwc-search
    #[test]
    fn every_word_must_be_said() {
        assert_eq!(found(&["issues", "absent"]), (Vec::new(), Vec::new()));
        assert_eq!(found(&["opens", "commits"]), (vec!["github"], Vec::new()), "no operation does both");
    }
}
