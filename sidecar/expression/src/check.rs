//! What an expression may consist of.
//!
//! Anything that makes values larger than the update is bounded by [`MAX_COPIES`]; anything that repeats is one loop, whose body is
//! [`Weight::each`]. What is left can't take long or grow, and what we don't know is refused: a function of a later
//! version of the crate comes in only by this list.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::{VARIABLE, names};

const MAX_NODES: usize = 200;
/// Levels, with what macros add. Evaluating one takes up to 40 KiB of stack in a build without optimisation.
const MAX_DEPTH: usize = 24;
/// Values that are copied: into a list or an object, or joined by `+`.
const MAX_COPIES: usize = 8;

/// How many operations an expression takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Once.
    once: usize,
    /// For each item of the loop's range.
    each: usize,
    /// Values that are copied into something larger.
    copies: usize,
}

#[derive(Default)]
struct Check<'e> {
    weight: Weight,
    /// Whether there has been a loop.
    looped: bool,
    /// Variables of the loop that we are in.
    scope: Vec<&'e str>,
}

/// Functions by name, and how many arguments they have besides the value that they are called on, if any.
const FUNCTIONS: [(&str, bool, usize); 9] = [
    ("size", false, 1),
    ("size", true, 0),
    ("contains", true, 1),
    ("startsWith", true, 1),
    ("endsWith", true, 1),
    ("int", false, 1),
    ("double", false, 1),
    ("string", false, 1),
    ("bool", false, 1),
];

const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

/// Of the operators, those whose value is no bool.
const ARITHMETIC: [&str; 6] = [
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];

/// Checks an expression, and tells how much there is to do in it.
pub(super) fn check(root: &IdedExpr) -> Result<Weight, String> {
    if is_never_bool(root) {
        return Err("must be true or false".to_owned());
    }
    let mut check = Check::default();
    check.walk(root, 0)?;
    Ok(check.weight)
}

// === impl Weight ===

impl Weight {
    /// How many steps it takes at most, as each operation may be to compare or to copy all that there is: `size` steps. No list of
    /// the update is longer than `longest`, and one of the expression itself has fewer entries than the expression has nodes;
    /// but what was copied together is as long, and as large, as all of its parts.
    pub(super) fn steps(&self, size: usize, longest: usize) -> usize {
        let &Self { once, each, copies } = self;
        let parts = 1 + copies;
        let items = longest.max(once).saturating_mul(parts);
        let operations = each.saturating_mul(items).saturating_add(once);
        size.saturating_mul(parts).saturating_mul(operations)
    }
}

// === impl Check ===

impl<'e> Check<'e> {
    fn walk(&mut self, node: &'e IdedExpr, depth: usize) -> Result<(), String> {
        let nodes = if self.scope.is_empty() { &mut self.weight.once } else { &mut self.weight.each };
        *nodes += 1;
        if self.weight.once + self.weight.each > MAX_NODES {
            return Err(format!("must be at most {MAX_NODES} operations and values"));
        }
        if depth > MAX_DEPTH {
            return Err(format!("must be nested at most {MAX_DEPTH} deep"));
        }
        let depth = depth + 1;
        match &node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                self.named(&select.operand, &select.field)?;
                self.walk(&select.operand, depth)
            }
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.copied(element, depth)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.copied(&entry.key, depth)?;
                    self.copied(&entry.value, depth)
                }
                EntryExpr::StructField(_) => Err(unsupported()),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Struct(_) | Expr::Unspecified => Err(unsupported()),
        }
    }

    fn variable(&self, name: &str) -> Result<(), String> {
        if name == VARIABLE || self.scope.contains(&name) {
            return Ok(());
        }
        Err(format!("has an unknown variable {name:?}: there is {VARIABLE:?} alone"))
    }

    /// Checks a name that is taken from a value, where that is the update.
    fn named(&self, value: &IdedExpr, name: &str) -> Result<(), String> {
        match &value.expr {
            Expr::Ident(variable) if variable == VARIABLE && !self.scope.contains(&VARIABLE) => {
                names::check(name)
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Result<(), String> {
        let CallExpr { func_name, target, args } = call;
        let is_operator = target.is_none() && OPERATORS.contains(&func_name.as_str());
        let is_function = || FUNCTIONS.contains(&(func_name.as_str(), target.is_some(), args.len()));
        // the parser writes this into loops, and nobody else can
        let is_loop_condition = || func_name == operators::NOT_STRICTLY_FALSE;
        if !(is_operator || is_function() || is_loop_condition()) {
            let mut names: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
            names.dedup();
            let names = names.join(", ");
            return Err(format!(
                "has an unknown function {func_name:?}, or one with other arguments: there are has, all, exists, exists_one, {names}"
            ));
        }
        if let Some(target) = target {
            self.walk(target, depth)?;
        }
        if let (operators::INDEX, [value, index]) = (func_name.as_str(), args.as_slice())
            && let Expr::Literal(LiteralValue::String(name)) = &index.expr
        {
            self.named(value, name.inner())?;
        }
        if func_name == operators::ADD && !args.iter().any(is_number) {
            return args.iter().try_for_each(|arg| self.copied(arg, depth));
        }
        args.iter().try_for_each(|arg| self.walk(arg, depth))
    }

    /// Walks what is copied into something larger.
    fn copied(&mut self, node: &'e IdedExpr, depth: usize) -> Result<(), String> {
        if !matches!(node.expr, Expr::Literal(_)) {
            self.weight.copies += 1;
        }
        if self.weight.copies > MAX_COPIES {
            return Err(format!("must put at most {MAX_COPIES} values together, in lists or by +"));
        }
        self.walk(node, depth)
    }

    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr, depth: usize) -> Result<(), String> {
        let ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2,
            accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        } = comprehension;
        if matches!(accu_init.expr, Expr::List(_)) {
            return Err("must not make lists: there are all, exists and exists_one".to_owned());
        }
        if self.looped {
            return Err("must have at most one of all, exists and exists_one".to_owned());
        }
        self.looped = true;
        self.walk(iter_range, depth)?;
        self.walk(accu_init, depth)?;
        self.scope = [iter_var, accu_var].into_iter().chain(iter_var2).map(String::as_str).collect();
        self.walk(loop_cond, depth)?;
        self.walk(loop_step, depth)?;
        self.walk(result, depth)?;
        self.scope.clear();
        Ok(())
    }
}

fn unsupported() -> String {
    "has a part that is not supported".to_owned()
}

fn is_number(node: &IdedExpr) -> bool {
    use LiteralValue::{Double, Int, UInt};
    matches!(node.expr, Expr::Literal(Int(_) | Double(_) | UInt(_)))
}

/// Whether its value can't be a bool, whatever the update.
fn is_never_bool(root: &IdedExpr) -> bool {
    match &root.expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::Ident(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => true,
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::CONDITIONAL => {
            args.iter().skip(1).any(is_never_bool)
        }
        Expr::Call(CallExpr { func_name, .. }) => {
            let makes_no_bool = ["size", "int", "double", "string"];
            ARITHMETIC.contains(&func_name.as_str()) || makes_no_bool.contains(&func_name.as_str())
        }
        Expr::Select(_) | Expr::Comprehension(_) => false,
    }
}
