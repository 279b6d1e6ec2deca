//! Functions that are generic over their float type, at one width.

use super::{Body, Elem, Func, Op};

impl Func {
    /// Whether it is generic over its float type.
    pub fn is_generic(&self) -> bool {
        self.types.iter().any(|ty| matches!(ty.elem, Elem::Generic(_)))
    }

    /// The function where every type parameter stands for `float`, which is `f64` or `f32`. This is what a generic function means: the evaluator runs no other.
    #[must_use]
    pub fn at_width(&self, float: Elem) -> Func {
        let mut func = self.clone();
        for ty in &mut func.types {
            ty.elem = ty.elem.at_width(float);
        }
        body_at_width(&mut func.body, float);
        func
    }
}

fn body_at_width(body: &mut Body, float: Elem) {
    for stmt in &mut body.stmts {
        match &mut stmt.op {
            Op::Const(elem @ Elem::Generic(_), literal) => {
                *elem = float;
                *literal = literal.at_width(float);
            }
            Op::Elementwise(op) => *op = op.at_width(float),
            Op::Const(..) | Op::Reduce(_) | Op::Einsum(_) | Op::Shape(_) | Op::Index(_) | Op::Linalg(_) | Op::Control(_) => {}
            // Rules are for one float type.
            Op::Call(_) => {}
        }
        stmt.bodies.iter_mut().for_each(|body| body_at_width(body, float));
    }
}
