//! Expressions in CEL over the whole update.
//!
//! Whoever writes a message decides what the update holds, so an expression must not be able to take long or much memory, whatever
//! that is. The `cel` crate has no bound of its own. Ours: few and simple expressions ([`Expression`]), small trees
//! ([`tree`](super::tree)), and the product of both in [`MAX_STEPS`].

use std::sync::Arc;

use cel::{Context, Env, Value};
use telegram_webhook_sidecar_config::bounds::MAX_EXPRESSIONS;
use telegram_webhook_sidecar_expression::{Expression, VARIABLE, environment};

use super::{
    Rule,
    tree::{Tree, TreeError},
};
use crate::config::Findings;

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
        let mut list = Vec::with_capacity(sources.len());
        for (index, compiled) in Expression::compile(sources).into_iter().enumerate() {
            match compiled {
                Ok(expression) => list.push(expression),
                Err(reason) => findings.field(format!("filter.expressions[{index}]"), reason),
            }
        }
        Self { env: Some(Arc::new(environment())), list }
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
        let size = tree.nodes + text.len() / BYTES_PER_STEP;
        let longest = tree.longest;
        let mut context = Context::with_env(Arc::clone(env));
        context.add_variable_as_val(VARIABLE, tree.root);
        let mut steps_left = MAX_STEPS;
        for (index, expression) in self.list.iter().enumerate() {
            let Some(left) = steps_left.checked_sub(expression.steps(size, longest)) else {
                return Some(Rule::ExpressionCost(index));
            };
            steps_left = left;
            match Value::resolve(expression.root(), &context) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Some(Rule::Expression(index)),
                _ => return Some(Rule::ExpressionError(index)),
            }
        }
        None
    }
}
