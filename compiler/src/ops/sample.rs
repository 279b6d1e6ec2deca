//! Where operations are smooth: points at which derivatives may be compared with differences.
//!
//! Tests of derivatives take their operands from here. The rules beside the operations say what the derivative is at the other points.

use crate::ir::Elementwise;

/// Where an element-wise operation is smooth, with a margin around kinks and poles.
#[derive(Clone, Debug)]
pub struct Domain {
    /// For each operand intervals from which to take values. A `bool` operand has none.
    pub operands: Vec<Vec<(f64, f64)>>,
    /// The least distance that two operands must keep from each other.
    pub apart: f64,
}

/// Between the two kinks of a function that has them at the whole numbers, on either side of zero.
const BETWEEN_INTEGERS: &[(f64, f64)] = &[(-1.8, -1.2), (-0.8, -0.2), (0.2, 0.8), (1.2, 1.8)];
/// Either sign, away from zero.
const NOT_ZERO: &[(f64, f64)] = &[(-2.0, -0.4), (0.4, 2.0)];
/// Either sign, zero included.
const AROUND_ZERO: &[(f64, f64)] = &[(-2.0, 2.0)];
/// Positive, away from zero.
const POSITIVE: &[(f64, f64)] = &[(0.4, 2.5)];
/// Within the domain of the inverse sine.
const INSIDE_ONE: &[(f64, f64)] = &[(-0.8, 0.8)];

impl Elementwise {
    /// Where the operation is smooth. Operations without derivatives have a domain too: where their result does not jump.
    pub fn domain(self) -> Domain {
        use Elementwise as E;
        let of = |operands: &[&[(f64, f64)]], apart: f64| Domain { operands: operands.iter().map(|o| o.to_vec()).collect(), apart };
        match self {
            E::Neg
            | E::Exp
            | E::ExpM1
            | E::Sin
            | E::Cos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Cast(_) => of(&[AROUND_ZERO], 0.0),
            E::Ln | E::Sqrt => of(&[POSITIVE], 0.0),
            E::Ln1p => of(&[&[(-0.6, 2.0)]], 0.0),
            E::Tan => of(&[&[(-1.2, 1.2)]], 0.0),
            E::Asin | E::Acos => of(&[INSIDE_ONE], 0.0),
            E::Abs | E::Sign | E::Relu => of(&[NOT_ZERO], 0.0),
            E::Floor | E::StopGradient => of(&[BETWEEN_INTEGERS], 0.0),
            E::Powi(n) => of(&[if n < 0 { NOT_ZERO } else { AROUND_ZERO }], 0.0),
            E::Add | E::Sub | E::Mul => of(&[AROUND_ZERO, AROUND_ZERO], 0.0),
            E::Div => of(&[AROUND_ZERO, NOT_ZERO], 0.0),
            // The quotient lies between two whole numbers.
            E::Rem => of(&[&[(-0.75, -0.2), (0.2, 0.75), (2.2, 2.7)], &[(1.0, 1.05)]], 0.0),
            E::Powf => of(&[POSITIVE, AROUND_ZERO], 0.0),
            E::Atan2 => of(&[NOT_ZERO, NOT_ZERO], 0.0),
            E::Max | E::Min | E::Lt | E::Le | E::Eq | E::Ne => of(&[AROUND_ZERO, AROUND_ZERO], 0.2),
            E::And | E::Or => of(&[&[], &[]], 0.0),
            E::Not => of(&[&[]], 0.0),
            E::Select => of(&[&[], AROUND_ZERO, AROUND_ZERO], 0.0),
        }
    }
}
