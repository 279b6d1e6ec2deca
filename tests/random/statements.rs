//! Statements of random functions: `let`, closures, changes of variables and of parts of arrays, loops, branches.

use super::source::{Draw, LARGE};
use super::types::{Axis, Ty, Variable};

impl Draw {
    pub(super) fn statement(&mut self) -> String {
        let inside = self.depth > 0;
        match self.random.below(if self.depth < 2 { 15 } else { 8 }) {
            0..3 => self.binding(),
            3 if !inside => {
                let (f, t) = (self.name("g"), self.name("t"));
                let before = std::mem::take(&mut self.variables);
                self.variables.push(Variable::local(&t, Ty::Number, 3.0));
                let body = self.scalar_of(&t);
                self.variables = before;
                self.closures.push(f.clone());
                format!("let {f} = |{t}: f64| ({body}).tanh();\n")
            }
            4 => {
                let (p, q) = (self.name("p"), self.name("q"));
                let (x, y) = (self.any(Ty::Number, 1), self.any(Ty::Number, 1));
                self.variables.push(Variable::local(&p, Ty::Number, x.bound));
                self.variables.push(Variable::local(&q, Ty::Number, y.bound));
                format!("let ({p}, {q}) = ({}, {});\n", x.operand, y.operand)
            }
            5 | 6 => self.assignment(),
            7 => {
                let e = self.any(Ty::Number, 1);
                let name = self.name("v");
                self.variables.push(Variable::local(&name, Ty::Number, e.bound));
                let assertion = [
                    "assert!(x.len() > 0, \"there are elements\")",
                    "assert_eq!(x.len(), x.dim())",
                    "assert_ne!(x.len(), 0)",
                    "debug_assert!(x.len() > 0)",
                    "debug_assert_eq!(x.ndim(), 1)",
                    "debug_assert_ne!(x.ndim(), 2)",
                ];
                format!("{};\nlet {name}: f64 = ({}).into();\n", self.random.pick(&assertion), e.operand)
            }
            8 | 9 => self.for_loop(),
            10 | 11 => self.building(),
            12 if !self.is_helper => self.bounded_loop(),
            13 if !inside && !self.is_helper && self.random.one_in(3) => {
                let (c, e) = (self.condition(), self.result());
                format!("if {c} {{\nreturn {e};\n}}\n")
            }
            _ => self.branch(),
        }
    }

    fn binding(&mut self) -> String {
        let ty = self.ty();
        let e = self.any(ty, 2);
        // A name in use may come to mean something else.
        let again: Vec<String> =
            self.variables.iter().filter(|v| v.name.starts_with('v') && v.name.len() > 1).map(|v| v.name.clone()).collect();
        let shadows = self.depth == 0 && !again.is_empty() && self.random.one_in(6);
        let name = if shadows { self.random.pick(&again).clone() } else { self.name("v") };
        if shadows {
            self.variables.retain(|v| v.name != name);
        }
        let mutable = self.random.one_in(3);
        let annotation = match ty {
            Ty::Number if self.random.one_in(3) => ": f64",
            Ty::Vector(_) if self.random.one_in(4) => ": Array1<f64>",
            Ty::Number | Ty::Vector(_) | Ty::Matrix(..) => "",
        };
        let declared = Variable { mutable, ..Variable::local(&name, ty, e.bound.max(1.0)) };
        let change = if mutable { self.change_of(&declared) } else { String::new() };
        self.variables.push(declared);
        format!("let {}{name}{annotation} = {};\n{change}", if mutable { "mut " } else { "" }, e.owned(ty))
    }

    fn ty(&mut self) -> Ty {
        let (n, m) = (self.axis(), self.axis());
        match self.random.below(4) {
            0 | 1 => Ty::Number,
            2 => Ty::Vector(n),
            _ => Ty::Matrix(n, m),
        }
    }

    /// A change of a variable that is declared by `let mut`, or of a part of it; nothing if there is none. Its values stay within bounds.
    fn assignment(&mut self) -> String {
        let mutable: Vec<Variable> = self.variables.iter().filter(|v| v.mutable).cloned().collect();
        if mutable.is_empty() {
            return String::new();
        }
        // Arrays more often: there are more ways to change them.
        let arrays: Vec<Variable> = mutable.iter().filter(|v| v.ty != Ty::Number).cloned().collect();
        let among = if arrays.is_empty() || self.random.one_in(3) { mutable } else { arrays };
        let v = self.random.pick(&among).clone();
        self.change_of(&v)
    }

    fn change_of(&mut self, v: &Variable) -> String {
        // What is borrowed to be changed cannot be read by the new value.
        let around = self.variables.clone();
        self.variables.retain(|other| other.name != v.name);
        let text = match v.ty {
            Ty::Number => self.number_assignment(&v.name),
            Ty::Vector(n) => self.vector_assignment(&v.name, n),
            Ty::Matrix(n, m) => self.matrix_assignment(&v.name, n, m),
        };
        self.variables = around;
        text
    }

    fn number_assignment(&mut self, name: &str) -> String {
        let e = self.any(Ty::Number, 1);
        match self.random.below(4) {
            0 => format!("{name} = ({name} * {}).sin();\n", e.operand),
            1 => format!("{name} += {}.tanh();\n", e.receiver),
            2 => format!("{name} *= {}.cos();\n", e.receiver),
            _ => format!("{name} -= 0.1 * {}.sin();\n", e.receiver),
        }
    }

    fn vector_assignment(&mut self, name: &str, n: Axis) -> String {
        let (e, x, i) = (self.any(Ty::Number, 1), self.any(Ty::Vector(n), 1), self.position(n));
        let t = self.name("t");
        match self.random.below(16) {
            0 => format!("{name} = ({} * &{name}).sin();\n", x.operand),
            1 => format!("{name}[{i}] = {}.sin();\n", e.receiver),
            2 => format!("{name}[{i}] += {}.sin() * {name}[0];\n", e.receiver),
            3 => format!("{name} *= {}.cos();\n", e.receiver),
            4 => format!("{name} += &{}.sin();\n", x.receiver),
            5 => format!("{name}.assign(&{}.sin());\n", x.receiver),
            6 => format!("{name}.slice_mut(s![1..]).fill({}.sin());\n", e.receiver),
            7 => format!("{name}.slice_mut(s![..;-1]).scaled_add(0.3, &{}.sin());\n", x.receiver),
            8 => format!("{name}.mapv_inplace(|{t}| ({}).sin());\n", self.scalar_of(&t)),
            9 => format!("{name}.map_inplace(|{t}| *{t} = {t}.sin());\n"),
            10 => format!("{name}.zip_mut_with(&{}.sin(), |{t}, &z| *{t} += 0.5 * z);\n", x.receiver),
            11 => format!("{name}.swap(0, 1);\n"),
            12 => format!("{name}.iter_mut().for_each(|{t}| *{t} *= 0.5);\n"),
            13 => format!("{name}.invert_axis(Axis(0));\n"),
            14 => format!("{name}.accumulate_axis_inplace(Axis(0), |&{t}, z| *z = 0.5 * *z + {t}.sin());\n"),
            _ => format!("{name}.view_mut()[{i}] -= {}.sin();\n", e.receiver),
        }
    }

    fn matrix_assignment(&mut self, name: &str, n: Axis, m: Axis) -> String {
        let (e, w) = (self.any(Ty::Number, 1), self.any(Ty::Matrix(n, m), 1));
        let (x, y) = (self.any(Ty::Vector(n), 1), self.any(Ty::Vector(m), 1));
        let (i, j, t) = (self.position(n), self.position(m), self.name("t"));
        match self.random.below(16) {
            0 => format!("{name} = ({} * &{name}).sin();\n", w.operand),
            1 => format!("{name}[[{i}, {j}]] = {}.sin();\n", e.receiver),
            2 => format!("{name}[[{i}, {j}]] += {}.sin() * {name}[[0, 1]];\n", e.receiver),
            3 => format!("{name} *= &{}.cos();\n", y.receiver),
            4 => format!("{name}.row_mut({i}).assign(&{}.sin());\n", y.receiver),
            5 => format!("{name}.column_mut({j}).scaled_add(0.3, &{}.sin());\n", x.receiver),
            6 => format!("{name}.index_axis_mut(Axis(1), {j}).fill({}.sin());\n", e.receiver),
            7 => format!("{name}.slice_mut(s![1.., ..]).mapv_inplace(|{t}| {t}.sin());\n"),
            8 => format!("for ({t}, z) in {name}.indexed_iter_mut() {{\n*z *= ({t}.0 + 1) as f64 * 0.5;\n}}\n"),
            9 => format!("for mut {t} in {name}.rows_mut() {{\n{t} *= 0.7;\n}}\n"),
            10 => format!("for (mut {t}, &z) in {name}.columns_mut().into_iter().zip({}.sin().iter()) {{\n{t} += z;\n}}\n", y.receiver),
            11 => format!("for mut {t} in {name}.outer_iter_mut() {{\n{t}[0] *= 0.5;\n}}\n"),
            12 => format!("for mut {t} in {name}.axis_iter_mut(Axis(1)) {{\n{t}[1] += {t}[0] * 0.5;\n}}\n"),
            13 => format!("{name}.swap_axes(0, 1);\n{name} *= 0.5;\n{name}.swap_axes(1, 0);\n"),
            14 => format!("{name}.slice_mut(s![..2, ..2]).diag_mut().fill({}.sin());\n", e.receiver),
            _ => format!("{name}.view_mut().assign(&{}.sin());\n", w.receiver),
        }
    }

    /// A loop over positions or items that changes a number, and whatever it finds.
    fn for_loop(&mut self) -> String {
        let s = self.name("s");
        let start = self.any(Ty::Number, 1);
        let mut text = format!("let mut {s}: f64 = {};\n", start.operand);
        self.variables.push(Variable::local(&s, Ty::Number, LARGE).mutable());
        let (i, axis) = (self.name("i"), self.axis());
        let (n_variables, n_closures) = (self.variables.len(), self.closures.len());
        let vector = self.variables.iter().find(|v| v.ty == Ty::Vector(axis) && !v.mutable).map(|v| v.name.clone());
        let matrix = self.variables.iter().find(|v| v.ty == Ty::Matrix(Axis::N, Axis::M) && !v.mutable).map(|v| v.name.clone());
        // The index is a position on the axis only where that is what the loop goes through.
        let (head, index) = match (self.random.below(9), vector, matrix) {
            (0, ..) => (format!("for {i} in 0..2_usize"), true),
            (1, Some(x), _) => (format!("for {i} in (0..{x}.len()).rev()"), true),
            (2, Some(x), _) => (format!("for {i} in (0..{x}.len()).step_by(2)"), true),
            (3, ..) if !self.is_helper => (format!("for {i} in 0..k"), true),
            (4, Some(x), _) => {
                let t = self.name("e");
                self.variables.push(Variable::local(&t, Ty::Number, LARGE));
                (format!("for &{t} in {x}.iter()"), false)
            }
            (5, Some(x), _) => {
                let t = self.name("e");
                self.variables.push(Variable::local(&t, Ty::Number, LARGE));
                (format!("for ({i}, &{t}) in {x}.iter().enumerate()"), true)
            }
            (6, _, Some(w)) => {
                let t = self.name("r");
                self.variables.push(Variable::local(&t, Ty::Vector(Axis::M), LARGE));
                (format!("for {t} in {w}.rows()"), false)
            }
            (7, Some(x), _) => {
                let (t, u) = (self.name("e"), self.name("e"));
                self.variables.push(Variable::local(&t, Ty::Number, LARGE));
                self.variables.push(Variable::local(&u, Ty::Number, LARGE));
                (format!("for (&{t}, &{u}) in {x}.iter().zip({x}.iter())"), false)
            }
            (_, Some(x), _) => (format!("for {i} in 0..{x}.len()"), true),
            (_, None, _) => (format!("for {i} in 0..2_usize"), true),
        };
        if index {
            self.loops.push((i, axis));
        }
        self.depth += 1;
        let mut body = String::new();
        for _ in 0..1 + self.random.below(2) {
            body.push_str(&self.statement());
        }
        if self.random.one_in(5) {
            let (c, exit) = (self.condition(), ["continue", "break"][self.random.below(2)]);
            body.push_str(&format!("if {c} {{\n{exit};\n}}\n"));
        }
        let e = self.any(Ty::Number, 1);
        body.push_str(&format!("{s} = ({s} * 0.5 + {}).sin();\n", e.operand));
        body.push_str(&self.assignment());
        self.depth -= 1;
        if index {
            self.loops.pop();
        }
        self.variables.truncate(n_variables);
        self.closures.truncate(n_closures);
        text.push_str(&format!("{head} {{\n{body}}}\n"));
        text
    }

    /// A loop that builds an array element by element.
    fn building(&mut self) -> String {
        let (c, i) = (self.name("c"), self.name("i"));
        let axis = self.axis();
        self.loops.push((i.clone(), axis));
        self.depth += 1;
        let e = self.any(Ty::Number, 2);
        self.depth -= 1;
        self.loops.pop();
        let length = self.length(axis);
        let text = match self.random.below(2) {
            0 => format!("let mut {c} = Array1::<f64>::zeros({length});\nfor {i} in 0..{length} {{\n{c}[{i}] = {};\n}}\n", e.operand),
            _ => {
                let operand = e.operand;
                format!(
                    "let mut {c} = Array1::<f64>::ones({length});\nfor {i} in 0..{length} {{\n{c}[{i}] += {operand} + 0.1 * {c}[0];\n}}\n"
                )
            }
        };
        self.variables.push(Variable::local(&c, Ty::Vector(axis), e.bound + 2.0).mutable());
        text
    }

    /// A loop whose number of turns depends on data, with a bound.
    fn bounded_loop(&mut self) -> String {
        let s = self.name("s");
        let (start, step) = (self.any(Ty::Number, 1), self.any(Ty::Number, 1));
        self.variables.push(Variable::local(&s, Ty::Number, LARGE).mutable());
        let turns = self.name("turns");
        let head = format!("let mut {s}: f64 = {}.tanh();\nlet mut {turns} = 0_usize;\n", start.receiver);
        let body = format!("{s} += 0.2 + {}.sin() * 0.1;\n{turns} += 1;\n", step.receiver);
        match self.random.below(2) {
            0 => format!("{head}#[bound(4)]\nwhile {s} < 0.8 && {turns} < 4 {{\n{body}}}\n"),
            _ => format!("{head}#[bound(5)]\nloop {{\nif {s} > 0.9 || {turns} >= 4 {{\nbreak;\n}}\n{body}}}\n"),
        }
    }

    /// A branch that changes variables, or gives a number.
    fn branch(&mut self) -> String {
        self.depth += 1;
        let (n_variables, n_closures) = (self.variables.len(), self.closures.len());
        let n_sides = 2 + self.random.below(2);
        let sides: Vec<(String, String, f64)> = (0..n_sides)
            .map(|_| {
                let statement = self.statement();
                let e = self.any(Ty::Number, 1);
                self.variables.truncate(n_variables);
                self.closures.truncate(n_closures);
                (statement, e.operand, e.bound)
            })
            .collect();
        self.depth -= 1;
        let bound = sides.iter().fold(0.0, |a: f64, side| a.max(side.2));
        let conditions = [self.condition(), self.condition()];
        let name = self.name("z");
        let text = match &sides[..] {
            [(first, x, _), (second, y, _)] => format!("if {} {{\n{first}{x}\n}} else {{\n{second}{y}\n}}", conditions[0]),
            [(first, x, _), (second, y, _), (third, z, _)] if self.is_helper || self.random.one_in(2) => {
                let [c, d] = conditions;
                format!("if {c} {{\n{first}{x}\n}} else if {d} {{\n{second}{y}\n}} else {{\n{third}{z}\n}}")
            }
            [(first, x, _), (second, y, _), (third, z, _)] => {
                format!("match k {{\n0 => {{\n{first}{x}\n}}\n1 if flag => {{\n{second}{y}\n}}\n_ => {{\n{third}{z}\n}}\n}}")
            }
            _ => unreachable!("two or three sides"),
        };
        self.variables.push(Variable::local(&name, Ty::Number, bound));
        format!("let {name}: f64 = {text};\n")
    }
}
