//! Writes every change of a file into the file, each behind the question whether it is the chosen one.

#![expect(clippy::wildcard_enum_match_arm, reason = "the syntax tree is another's, and grows")]

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, GenericArgument, PathArguments, ReturnType, Stmt, Type, UnOp, parse_quote};

use crate::places::Mutant;

/// Methods whose answer is a yes or no.
const QUESTIONS: [&str; 14] = [
    "all",
    "any",
    "contains",
    "contains_key",
    "ends_with",
    "eq",
    "is_empty",
    "is_err",
    "is_none",
    "is_none_or",
    "is_ok",
    "is_some",
    "is_some_and",
    "starts_with",
];

/// Macros whose answer is a yes or no.
const QUESTION_MACROS: [&str; 1] = ["matches"];

/// How much text one expression with its changes may be, since some are written out once for each change.
const MOST_TEXT: usize = 60_000;

/// Plants the changes of a file; `wanted` says of each whether it may be planted.
pub(crate) fn plant(
    file: &mut syn::File,
    name: &str,
    mutants: &mut Vec<Mutant>,
    wanted: &dyn Fn(u32) -> bool,
) {
    let mut planter = Planter { name, mutants, wanted, path: Vec::new() };
    planter.visit_file_mut(file);
}

struct Planter<'a> {
    name: &'a str,
    mutants: &'a mut Vec<Mutant>,
    wanted: &'a dyn Fn(u32) -> bool,
    path: Vec<String>,
}

impl Planter<'_> {
    /// Numbers a change; nothing if it is not wanted.
    fn number(&mut self, span: Span, change: String) -> Option<Expr> {
        let id = u32::try_from(self.mutants.len()).ok()? + 1;
        let line = span.start().line;
        let function = self.path.join("::");
        let change = numbered(&change, &function, self.name, self.mutants);
        self.mutants.push(Mutant { id, file: self.name.to_owned(), line, function, change });
        (self.wanted)(id).then(|| parse_quote!(crate::mutant::is(#id)))
    }

    /// An expression that is one of `others` if its change is chosen.
    fn one_of(&mut self, span: Span, own: Expr, others: Vec<(String, Expr)>) -> Expr {
        let mut whole = own;
        for (change, other) in others {
            if let Some(chosen) = self.number(span, change) {
                whole = parse_quote!((if #chosen { #other } else { #whole }));
            }
        }
        whole
    }

    /// A yes or no, also answered the other way round.
    fn turned(&mut self, span: Span, own: Expr, what: &str) -> Expr {
        match self.number(span, format!("turn {what} round")) {
            Some(chosen) => parse_quote!(((#own) ^ #chosen)),
            None => own,
        }
    }

    fn binary(&mut self, expr: &syn::ExprBinary) -> Option<Expr> {
        let (left, right) = (&expr.left, &expr.right);
        if holds_let(left) || holds_let(right) || expr.to_token_stream().to_string().len() > MOST_TEXT {
            return None;
        }
        let others: Vec<(String, Expr)> = swaps(&expr.op)
            .into_iter()
            .map(|op| {
                let change = format!("{} to {}", text(&expr.op), text(&op));
                (change, parse_quote!(#left #op #right))
            })
            .collect();
        let own = Expr::Binary(expr.clone());
        (!others.is_empty()).then(|| self.one_of(expr.op.span(), own, others))
    }

    /// A condition that also always and never holds.
    fn condition(&mut self, condition: &mut Expr, span: Span) {
        if let Expr::Binary(chain) = condition
            && matches!(chain.op, BinOp::And(_))
            && holds_let(&Expr::Binary(chain.clone()))
        {
            self.condition(&mut chain.left, span);
            self.condition(&mut chain.right, span);
            return;
        }
        if matches!(condition, Expr::Let(_)) {
            return;
        }
        if let Some(chosen) = self.number(span, "a condition to true".to_owned()) {
            *condition = parse_quote!((#chosen || (#condition)));
        }
        if let Some(chosen) = self.number(span, "a condition to false".to_owned()) {
            *condition = parse_quote!((!#chosen && (#condition)));
        }
    }

    fn body(&mut self, span: Span, output: &ReturnType, block: &mut Block) {
        for value in answers(output) {
            let shown = value.as_ref().map_or_else(|| "()".to_owned(), text);
            if let Some(chosen) = self.number(span, format!("answer {shown}")) {
                block.stmts.insert(0, parse_quote!(if #chosen { return #value; }));
            }
        }
    }

    fn function(&mut self, name: String, output: &ReturnType, block: &mut Block) {
        self.path.push(name);
        let span = block.brace_token.span.open();
        visit_mut::visit_block_mut(self, block);
        self.body(span, output, block);
        self.path.pop();
    }
}

/// The change with a number behind it, if the function has it already.
fn numbered(change: &str, function: &str, file: &str, mutants: &[Mutant]) -> String {
    let alike = |it: &&Mutant| {
        let base = it.change.rsplit_once(" (").map_or(it.change.as_str(), |(base, _)| base);
        it.file == file && it.function == function && base == change
    };
    match mutants.iter().filter(alike).count() {
        0 => change.to_owned(),
        before => format!("{change} ({})", before + 1),
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|it| text(it).replace(' ', "").contains("cfg(test)"))
}

fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

/// Whether a chain of conditions binds something.
fn holds_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(it) if matches!(it.op, BinOp::And(_)) => holds_let(&it.left) || holds_let(&it.right),
        _ => false,
    }
}

/// What stands in the place of an operator.
fn swaps(op: &BinOp) -> Vec<BinOp> {
    match op {
        BinOp::Eq(_) => vec![parse_quote!(!=)],
        BinOp::Ne(_) => vec![parse_quote!(==)],
        BinOp::And(_) => vec![parse_quote!(||)],
        BinOp::Or(_) => vec![parse_quote!(&&)],
        BinOp::Lt(_) => vec![parse_quote!(<=), parse_quote!(>=)],
        BinOp::Le(_) => vec![parse_quote!(<), parse_quote!(>)],
        BinOp::Gt(_) => vec![parse_quote!(>=), parse_quote!(<=)],
        BinOp::Ge(_) => vec![parse_quote!(>), parse_quote!(<)],
        BinOp::Add(_) => vec![parse_quote!(-)],
        BinOp::Sub(_) => vec![parse_quote!(+)],
        BinOp::Mul(_) => vec![parse_quote!(/)],
        BinOp::Div(_) => vec![parse_quote!(*)],
        BinOp::Rem(_) => vec![parse_quote!(/)],
        BinOp::BitAnd(_) => vec![parse_quote!(|)],
        BinOp::BitOr(_) => vec![parse_quote!(&)],
        BinOp::BitXor(_) => vec![parse_quote!(&)],
        BinOp::Shl(_) => vec![parse_quote!(>>)],
        BinOp::Shr(_) => vec![parse_quote!(<<)],
        BinOp::AddAssign(_) => vec![parse_quote!(-=)],
        BinOp::SubAssign(_) => vec![parse_quote!(+=)],
        BinOp::MulAssign(_) => vec![parse_quote!(/=)],
        BinOp::BitOrAssign(_) => vec![parse_quote!(&=)],
        BinOp::BitAndAssign(_) => vec![parse_quote!(|=)],
        _ => Vec::new(),
    }
}

/// Answers that a function of a type could always give; `None` is the answer of one without any.
fn answers(output: &ReturnType) -> Vec<Option<Expr>> {
    let ReturnType::Type(_, output) = output else { return vec![None] };
    let name = last_name(output);
    let of_result = || match inner(output).map(|it| (last_name(it), it)) {
        Some((name, _)) if name == "bool" => vec![parse_quote!(Ok(true)), parse_quote!(Ok(false))],
        Some((name, _)) if name == "Option" => vec![parse_quote!(Ok(None))],
        Some((_, Type::Tuple(it))) if it.elems.is_empty() => vec![parse_quote!(Ok(()))],
        Some(_) | None => Vec::new(),
    };
    let values: Vec<Expr> = match name.as_str() {
        "bool" => vec![parse_quote!(true), parse_quote!(false)],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i64" => vec![parse_quote!(0), parse_quote!(1)],
        "Option" => vec![parse_quote!(None)],
        "Result" => of_result(),
        "String" | "Vec" | "VecDeque" | "BTreeMap" | "BTreeSet" => vec![parse_quote!(Default::default())],
        _ => Vec::new(),
    };
    values.into_iter().map(Some).collect()
}

fn last_name(it: &Type) -> String {
    match it {
        Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn inner(it: &Type) -> Option<&Type> {
    let Type::Path(path) = it else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

impl VisitMut for Planter<'_> {
    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        let shown = block.trait_.as_ref().map(|(_, path, _)| text(path)).unwrap_or_default();
        if shown.ends_with("Debug") || shown.ends_with("Display") || is_test(&block.attrs) {
            return;
        }
        self.path.push(last_name(&block.self_ty));
        visit_mut::visit_item_impl_mut(self, block);
        self.path.pop();
    }

    fn visit_item_fn_mut(&mut self, function: &mut syn::ItemFn) {
        if !is_test(&function.attrs) {
            function.sig.constness = None;
            self.function(function.sig.ident.to_string(), &function.sig.output, &mut function.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            function.sig.constness = None;
            self.function(function.sig.ident.to_string(), &function.sig.output, &mut function.block);
        }
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        visit_mut::visit_expr_if_mut(self, expr);
        self.condition(&mut expr.cond, expr.if_token.span);
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        visit_mut::visit_arm_mut(self, arm);
        if let Some((word, guard)) = &mut arm.guard {
            self.condition(guard, word.span);
        }
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        let span = statement.span();
        visit_mut::visit_stmt_mut(self, statement);
        let Stmt::Expr(expr, Some(_)) = statement else { return };
        let removable = matches!(expr, Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_) | Expr::Try(_));
        if removable && let Some(chosen) = self.number(span, "leave a statement out".to_owned()) {
            *statement = parse_quote!(if !#chosen { #expr; });
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        let planted = match expr {
            Expr::Binary(it) => {
                let it = it.clone();
                self.binary(&it)
            }
            Expr::Unary(it) if matches!(it.op, UnOp::Not(_)) => {
                let (own, inner) = (Expr::Unary(it.clone()), (*it.expr).clone());
                Some(self.one_of(expr.span(), own, vec![("leave ! out".to_owned(), inner)]))
            }
            Expr::MethodCall(it) if QUESTIONS.contains(&it.method.to_string().as_str()) => {
                let what = format!("`{}`", it.method);
                let span = it.method.span();
                Some(self.turned(span, expr.clone(), &what))
            }
            Expr::Macro(it)
                if it.mac.path.get_ident().is_some_and(|it| QUESTION_MACROS.iter().any(|q| it == q)) =>
            {
                Some(self.turned(expr.span(), expr.clone(), "`matches!`"))
            }
            _ => None,
        };
        if let Some(planted) = planted {
            *expr = planted;
        }
    }

    // What the compiler evaluates cannot ask which change is chosen.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
    fn visit_generic_argument_mut(&mut self, _: &mut GenericArgument) {}
}

#[cfg(test)]
mod tests {
    use super::{Mutant, plant};

    const SAMPLE: &str = "
        fn allowed(age: u8) -> bool {
            if age < 3 && !known(age) {
                note(age);
                return true;
            }
            NAMES.contains(&age)
        }
        #[cfg(test)]
        mod tests { fn no_change_here() -> bool { 1 < 2 } }
    ";

    fn planted(wanted: bool) -> (String, Vec<Mutant>) {
        let mut file = syn::parse_file(SAMPLE).expect("the sample is Rust");
        let mut mutants = Vec::new();
        plant(&mut file, "sample.rs", &mut mutants, &|_| wanted);
        (prettyplease::unparse(&file), mutants)
    }

    #[test]
    fn every_kind_of_change_is_planted_where_it_belongs() {
        let (text, mutants) = planted(true);
        let told: Vec<_> = mutants.iter().map(|it| format!("{} {}", it.line, it.change)).collect();
        let expected = [
            "3 < to <=",
            "3 < to >=",
            "3 leave ! out",
            "3 && to ||",
            "4 leave a statement out",
            "3 a condition to true",
            "3 a condition to false",
            "7 turn `contains` round",
            "2 answer true",
            "2 answer false",
        ];
        assert_eq!(told, expected);
        for mutant in &mutants {
            assert_eq!(mutant.function, "allowed");
            assert!(text.contains(&format!("mutant::is({}u32)", mutant.id)), "{mutant}: {text}");
        }
    }

    #[test]
    fn what_is_not_wanted_changes_nothing() {
        let original = prettyplease::unparse(&syn::parse_file(SAMPLE).expect("the sample is Rust"));
        assert_eq!(planted(false).0, original);
    }
}
