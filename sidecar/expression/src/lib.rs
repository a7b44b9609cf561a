//! Expressions in CEL over the whole update: compiled and checked, by the operator before it writes one down, and by the sidecar,
//! which evaluates it. What the one lets through the other must take: a sidecar that starts with an expression that it refuses
//! receives nothing at all.
#![deny(missing_docs)]

mod check;
mod names;

use std::thread;

use cel::{Env, IdedExpr};
use telegram_webhook_sidecar_config::bounds::MAX_EXPRESSION_LENGTH;

use self::check::{Weight, check};

/// Name of the update in an expression.
pub const VARIABLE: &str = "update";
/// Levels of an expression, as the parser counts them: each takes about a hundred KiB of stack in a build without optimisation.
const MAX_PARSER_DEPTH: u16 = 32;
/// For the parser.
const STACK_BYTES: usize = 64 << 20;

/// An expression that can be evaluated, in [`environment`].
pub struct Expression {
    root: IdedExpr,
    weight: Weight,
}

/// What an expression may use.
pub fn environment() -> Env {
    Env::stdlib().with_optional_support(false)
}

// === impl Expression ===

impl Expression {
    /// Compiles and checks sources, each into an expression or what is wrong with it. On a thread of its own: the parser needs
    /// more stack than others have.
    pub fn compile(sources: &[String]) -> Vec<Result<Self, String>> {
        if sources.is_empty() {
            return Vec::new();
        }
        let compile = || {
            let env = environment();
            sources.iter().map(|source| Self::compile_one(&env, source)).collect()
        };
        let compiled = thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, compile);
            // a thread that can't be had; a parser that panics ends the process in a release
            thread.ok()?.join().ok()
        });
        compiled.unwrap_or_else(|| vec![Err("can't be compiled".to_owned())])
    }

    fn compile_one(env: &Env, source: &str) -> Result<Self, String> {
        if source.len() > MAX_EXPRESSION_LENGTH {
            return Err(format!("must be at most {MAX_EXPRESSION_LENGTH} bytes: split it where it says &&"));
        }
        let root = env.parser().max_recursion_depth(MAX_PARSER_DEPTH).parse(source).map_err(|errors| {
            let first = errors.errors.first();
            first.map_or_else(
                || "is not CEL".to_owned(),
                |error| format!("is not CEL: line {}, column {}: {}", error.pos.0, error.pos.1, error.msg),
            )
        })?;
        let weight = check(&root)?;
        Ok(Self { root, weight })
    }

    /// What is to be evaluated.
    pub fn root(&self) -> &IdedExpr {
        &self.root
    }

    /// How many steps it takes at most on an update that is `size` steps large, and no list of which is longer than `longest`.
    pub fn steps(&self, size: usize, longest: usize) -> usize {
        self.weight.steps(size, longest)
    }
}

#[cfg(test)]
mod tests;
