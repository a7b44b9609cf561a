//! Expressions in CEL over the whole update.
//!
//! Whoever writes a message decides what the update holds, so an expression must not be able to take long or much memory, whatever
//! that is. The `cel` crate has no bound of its own. Ours: few and simple expressions ([`check`](super::check)), small trees
//! ([`tree`](super::tree)), and the product of both in [`MAX_STEPS`].

use std::{sync::Arc, thread};

use cel::{Context, Env, IdedExpr, Value};

use super::{
    Rule,
    check::{Weight, check},
    tree::{Tree, TreeError},
};
use crate::config::Findings;

/// Name of the update in an expression.
pub(super) const VARIABLE: &str = "update";
const MAX_EXPRESSIONS: usize = 16;
const MAX_SOURCE_BYTES: usize = 1024;
/// Levels of an expression, as the parser counts them: each takes about a hundred KiB of stack in a build without optimisation.
const MAX_PARSER_DEPTH: u16 = 32;
/// For the parser.
const STACK_BYTES: usize = 64 << 20;
/// Bound on the work for all expressions on one update: operations, each on as much as there is, as an operation may be
/// to compare or to copy all of it. Well below a second, far above what a real update takes.
const MAX_STEPS: usize = 1 << 23;
/// Bytes that cost as much as a node of the tree.
const BYTES_PER_STEP: usize = 64;

/// All expressions of a filter.
#[derive(Default)]
pub(super) struct Expressions {
    env: Option<Arc<Env>>,
    list: Vec<Expression>,
}

struct Expression {
    root: IdedExpr,
    weight: Weight,
}

// === impl Expressions ===

impl Expressions {
    pub(super) fn parse(sources: &[String], findings: &mut Findings<'_>) -> Self {
        if sources.is_empty() {
            return Self::default();
        }
        if sources.len() > MAX_EXPRESSIONS {
            findings.field("filter.expressions", format!("must be at most {MAX_EXPRESSIONS}"));
            return Self::default();
        }
        let env = Arc::new(Env::stdlib().with_optional_support(false));
        let mut list = Vec::with_capacity(sources.len());
        for (index, compiled) in compile_all(&env, sources).into_iter().enumerate() {
            match compiled {
                Ok(expression) => list.push(expression),
                Err(reason) => findings.field(format!("filter.expressions[{index}]"), reason),
            }
        }
        Self { env: Some(env), list }
    }

    /// The first expression that doesn't hold.
    pub(super) fn refusing_rule(&self, body: &[u8]) -> Option<Rule> {
        let env = self.env.as_ref()?;
        let text = String::from_utf8_lossy(body);
        let tree = match Tree::read(&text) {
            Ok(tree) => tree,
            Err(TreeError::TooLarge) => return Some(Rule::ExpressionCost(0)),
            Err(TreeError::Ambiguous) => return Some(Rule::ExpressionError(0)),
        };
        let per_operation = tree.nodes + text.len() / BYTES_PER_STEP;
        let longest = tree.longest;
        let mut context = Context::with_env(Arc::clone(env));
        context.add_variable_as_val(VARIABLE, tree.root);
        let mut steps_left = MAX_STEPS;
        for (index, Expression { root, weight }) in self.list.iter().enumerate() {
            let steps = weight.operations(longest).saturating_mul(per_operation);
            let Some(left) = steps_left.checked_sub(steps) else {
                return Some(Rule::ExpressionCost(index));
            };
            steps_left = left;
            match Value::resolve(root, &context) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Some(Rule::Expression(index)),
                _ => return Some(Rule::ExpressionError(index)),
            }
        }
        None
    }
}

/// Compiles on a thread of its own: the parser needs more stack than ours have.
fn compile_all(env: &Env, sources: &[String]) -> Vec<Result<Expression, String>> {
    let compile_all = || sources.iter().map(|source| compile(env, source)).collect();
    let compiled = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, compile_all);
        thread.ok()?.join().ok()
    });
    compiled.unwrap_or_else(|| vec![Err("can't be compiled".to_owned())])
}

fn compile(env: &Env, source: &str) -> Result<Expression, String> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(format!("must be at most {MAX_SOURCE_BYTES} bytes"));
    }
    let root = env.parser().max_recursion_depth(MAX_PARSER_DEPTH).parse(source).map_err(|errors| {
        let first = errors.errors.first();
        first.map_or_else(
            || "is not CEL".to_owned(),
            |error| format!("is not CEL: line {}, column {}: {}", error.pos.0, error.pos.1, error.msg),
        )
    })?;
    let weight = check(&root)?;
    Ok(Expression { root, weight })
}
