//! Expressions of random functions: arithmetic, variables, and everything in the table of templates.

use super::source::{Draw, LARGE};
use super::templates::{HELPER, TEMPLATES, Template, UNARY};
use super::types::{Axis, Expr, Ty, Variable};

impl Draw {
    pub(super) fn variable(&mut self, ty: Ty) -> Option<Expr> {
        let of_type: Vec<&Variable> = self.variables.iter().filter(|v| v.ty == ty).collect();
        if of_type.is_empty() {
            return None;
        }
        // The newest ones more often, so that expressions build on each other.
        let first = if self.random.one_in(2) { of_type.len().saturating_sub(2) } else { 0 };
        let k = first + self.random.below(of_type.len() - first);
        Some(Expr::of(of_type[k]))
    }

    /// An expression of a type, of bounded size.
    pub(super) fn any(&mut self, ty: Ty, depth: usize) -> Expr {
        let e = if depth == 0 { self.leaf(ty) } else { self.composed(ty, depth - 1) };
        if e.bound <= LARGE {
            return e;
        }
        match (ty, self.random.below(3)) {
            (_, 0) => Expr::new(format!("{}.sin()", e.receiver), 1.0),
            (Ty::Number, _) | (_, 1) => Expr::new(format!("{}.tanh()", e.receiver), 1.0),
            (_, _) => Expr::new(format!("{} * {:.3}", e.operand, LARGE / e.bound / 2.0), LARGE),
        }
    }

    fn leaf(&mut self, ty: Ty) -> Expr {
        match ty {
            Ty::Number => match self.random.below(6) {
                0 => self.literal(),
                1 | 2 if !self.only_numbers => self.of_template(ty, 0, |t| t.text.starts_with("{0}[")),
                3 if !self.loops.is_empty() => Expr::new(format!("{} as f64", self.loops[self.loops.len() - 1].0), 3.0),
                _ => self.variable(Ty::Number).unwrap_or_else(|| self.literal()),
            },
            Ty::Vector(n) => self.variable(ty).unwrap_or_else(|| Expr::new(format!("Array1::from_elem({}, 0.5_f64)", self.length(n)), 0.5)),
            Ty::Matrix(n, m) => {
                if let Some(w) = self.variable(ty) {
                    return w;
                }
                match self.variable(Ty::Matrix(m, n)) {
                    Some(w) => Expr::new(format!("{}.t().to_owned()", w.receiver), w.bound),
                    None => Expr::new(format!("Array2::from_elem(({}, {}), 0.5_f64)", self.length(n), self.length(m)), 0.5),
                }
            }
        }
    }

    fn composed(&mut self, ty: Ty, d: usize) -> Expr {
        match self.random.below(10) {
            0 | 1 => {
                let (x, y) = (self.any(ty, d), self.any(ty, d));
                let op = ["+", "-"][self.random.below(2)];
                Expr::new(format!("{} {op} {}", x.operand, y.operand), x.bound + y.bound)
            }
            2 => {
                let (x, y) = (self.any(ty, d), self.any(ty, d));
                Expr::new(format!("{} * {}", x.operand, y.operand), x.bound * y.bound)
            }
            3 if ty != Ty::Number => {
                let (x, s) = (self.any(ty, d), self.any(Ty::Number, 0));
                match self.random.below(2) {
                    0 => Expr::new(format!("{} * {}", s.operand, x.operand), x.bound * s.bound),
                    _ => Expr::new(format!("{} - {}", x.operand, s.operand), x.bound + s.bound),
                }
            }
            4 if ty == Ty::Number && self.depth < 2 => {
                let c = self.condition();
                let (x, y) = (self.any(ty, d), self.any(ty, d));
                Expr::new(format!("if {c} {{ {} }} else {{ {} }}", x.operand, y.operand), x.bound.max(y.bound))
            }
            5 if ty == Ty::Number && !self.closures.is_empty() => {
                let f = self.random.pick(&self.closures).clone();
                let x = self.any(ty, d);
                Expr::new(format!("{f}({})", x.operand), 1.0)
            }
            3..6 => {
                let x = self.any(ty, d);
                let &(text, bound) = self.random.pick(UNARY);
                Expr::new(fill(text, &[x]), bound)
            }
            6 if self.helper.is_some() && self.loops.is_empty() && !self.only_numbers => self.helper_call(ty, d),
            _ => self.of_template(ty, d, |_| true),
        }
    }

    pub(super) fn literal(&mut self) -> Expr {
        let x = self.random.between(0.1, 2.0);
        Expr { operand: format!("{x:.2}_f64"), receiver: format!("{x:.2}_f64"), borrowed: format!("&{x:.2}"), bound: 2.0 }
    }

    /// A condition. Comparisons are with literals, so that two ways to compute a number do not disagree.
    pub(super) fn condition(&mut self) -> String {
        match self.random.below(7) {
            0 if !self.is_helper => "flag".to_owned(),
            1 if !self.is_helper => "k == 1".to_owned(),
            2 if !self.loops.is_empty() => format!("{} % 2 == 0", self.loops[self.loops.len() - 1].0),
            3 if !self.is_helper => {
                let x = self.any(Ty::Number, 0);
                format!("{} > 0.05 && !flag", x.operand)
            }
            _ => {
                let (x, c) = (self.any(Ty::Number, 1), self.literal());
                let op = ["<", ">", "<=", ">="][self.random.below(4)];
                format!("{} {op} {}", x.operand, c.operand.trim_end_matches("_f64"))
            }
        }
    }

    pub(super) fn length(&self, axis: Axis) -> String {
        // A helper has no parameter of the second length.
        match axis {
            Axis::M if self.is_helper => "2".to_owned(),
            axis => axis.text().to_owned(),
        }
    }

    /// A position on an axis: the index of a loop over it, or a number.
    pub(super) fn position(&mut self, axis: Axis) -> String {
        let inside: Vec<String> = self.loops.iter().filter(|l| l.1 == axis).map(|l| l.0.clone()).collect();
        if inside.is_empty() || self.random.one_in(4) { format!("{}", self.random.below(2)) } else { self.random.pick(&inside).clone() }
    }

    fn of_template(&mut self, ty: Ty, d: usize, fits: fn(&Template) -> bool) -> Expr {
        let letters: &[char] = match ty {
            Ty::Number => &['N'],
            Ty::Vector(Axis::N) => &['v', 'w', 'X'],
            Ty::Vector(Axis::M) => &['v', 'w', 'Y'],
            Ty::Matrix(n, m) if n == m => &['M', 'T', 'S'],
            Ty::Matrix(Axis::N, _) => &['M', 'T', 'W'],
            Ty::Matrix(Axis::M, _) => &['M', 'T'],
        };
        let (is_helper, only_numbers) = (self.is_helper, self.only_numbers);
        let usable = |t: &&Template| {
            let parameters = !t.text.split(|c: char| !c.is_alphanumeric()).any(|word| ["k", "l"].contains(&word));
            let numbers =
                t.gives == 'N' && t.takes.chars().all(|c| c == 'N' || c == ' ') && !t.text.contains("array") && !t.text.contains("arr");
            letters.contains(&t.gives) && fits(t) && (!is_helper || parameters) && (!only_numbers || numbers && !t.text.contains("vec!"))
        };
        let fitting: Vec<&Template> = TEMPLATES.iter().filter(usable).collect();
        let first = self.first.and_then(|text| fitting.iter().find(|t| t.text.contains(text)));
        let template = match first {
            Some(template) => {
                self.first = None;
                *template
            }
            None => *self.random.pick(&fitting),
        };
        self.apply(template, ty, d)
    }

    fn helper_call(&mut self, ty: Ty, d: usize) -> Expr {
        let gives = match ty {
            Ty::Number => 'N',
            Ty::Vector(Axis::N) => 'X',
            Ty::Vector(Axis::M) | Ty::Matrix(..) => return self.of_template(ty, d, |_| true),
        };
        let fitting: Vec<&Template> = HELPER.iter().filter(|t| t.gives == gives).collect();
        let template = *self.random.pick(&fitting);
        self.apply(template, ty, d)
    }

    fn apply(&mut self, template: &Template, ty: Ty, d: usize) -> Expr {
        // The axes that its letters stand for.
        let (p, q) = match (template.gives, ty) {
            ('v' | 'X', Ty::Vector(n)) => (n, self.axis()),
            ('w' | 'Y', Ty::Vector(n)) => (self.axis(), n),
            ('T', Ty::Matrix(n, m)) => (m, n),
            (_, Ty::Matrix(n, m)) => (n, m),
            _ => (self.axis(), self.axis()),
        };
        let operands: Vec<Expr> = template
            .takes
            .split(' ')
            .map(|letter| {
                let ty = match letter {
                    "N" => Ty::Number,
                    "v" => Ty::Vector(p),
                    "w" => Ty::Vector(q),
                    "M" => Ty::Matrix(p, q),
                    "T" => Ty::Matrix(q, p),
                    "S" => Ty::Matrix(p, p),
                    "X" => Ty::Vector(Axis::N),
                    "Y" => Ty::Vector(Axis::M),
                    "W" => Ty::Matrix(Axis::N, Axis::M),
                    other => panic!("`{other}` is not a type"),
                };
                self.any(ty, d)
            })
            .collect();
        let mut text = fill(template.text, &operands);
        for (mark, axis) in [("{n}", p), ("{m}", q)] {
            text = text.replace(mark, &self.length(axis));
        }
        for (mark, axis) in [("{i}", p), ("{j}", q)] {
            if text.contains(mark) {
                text = text.replace(mark, &self.position(axis));
            }
        }
        for mark in ["{t}", "{u}"] {
            if text.contains(mark) {
                let name = self.name("t");
                if mark == "{t}" {
                    text = text.replace("{e}", &self.scalar_of(&name)).replace("{c}", &self.condition_on(&name));
                }
                text = text.replace(mark, &name);
            }
        }
        if let Some(helper) = &self.helper {
            text = text.replace("{h}", helper);
        }
        let bounds: Vec<f64> = operands.iter().map(|e| e.bound).collect();
        Expr::new(text, (template.bound)(&bounds))
    }

    fn condition_on(&mut self, t: &str) -> String {
        let c = self.literal().operand.replace("_f64", "");
        let op = ["<", ">", "<=", ">="][self.random.below(4)];
        format!("{t} {op} {c}")
    }

    /// An arithmetic expression of a number and the other numbers in scope, at most 40 times as large.
    pub(super) fn scalar_of(&mut self, t: &str) -> String {
        let around = std::mem::replace(&mut self.only_numbers, true);
        let other = self.any(Ty::Number, 1);
        self.only_numbers = around;
        match self.random.below(7) {
            0 => format!("{t}.sin() * {}", other.operand),
            1 => format!("{t} / ({t} * {t} + 1.0) - {}", other.operand),
            2 => format!("({t} * {t} + 0.3).sqrt()"),
            3 => format!("{t}.max({}) * 0.5", other.operand),
            4 if !self.closures.is_empty() => format!("{}({t} + {})", self.random.pick(&self.closures), other.operand),
            5 => {
                let &(text, _) = self.random.pick(UNARY);
                let t = Expr { operand: t.to_owned(), receiver: t.to_owned(), borrowed: format!("&{t}"), bound: 1.0 };
                format!("({}).tanh()", fill(text, &[t]))
            }
            _ => format!("{t}.abs() + {} * {t}", other.operand),
        }
    }
}

/// The text with its operands in place.
fn fill(text: &str, operands: &[Expr]) -> String {
    let mut out = text.to_owned();
    for (k, e) in operands.iter().enumerate() {
        out = out.replace(&format!("{{{k}}}"), &e.receiver);
        out = out.replace(&format!("{{{k}&}}"), &e.borrowed);
        out = out.replace(&format!("{{{k}*}}"), &e.operand);
    }
    out
}
