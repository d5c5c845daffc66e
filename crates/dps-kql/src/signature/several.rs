//! Functions of one row that yield several columns: the plan's function yields one array, of which these are the elements.

use crate::{Scalar, Type};

/// The columns of such a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Several {
    /// Behind the function's name and the argument's, with the type; in the order of the array.
    pub(crate) columns: &'static [(&'static str, Type)],
}

/// What columns it makes; none when it makes one.
pub(crate) const fn several(function: Scalar) -> Option<Several> {
    let columns: &'static [(&'static str, Type)] = match function {
        Scalar::SeriesFitLine => &[
            ("rsquare", Type::Real),
            ("slope", Type::Real),
            ("variance", Type::Real),
            ("rvariance", Type::Real),
            ("interception", Type::Real),
            ("line_fit", Type::Dynamic),
        ],
        Scalar::SeriesFit2Lines => &[
            ("rsquare", Type::Real),
            ("split_idx", Type::Long),
            ("variance", Type::Real),
            ("rvariance", Type::Real),
            ("line_fit", Type::Dynamic),
            ("right_rsquare", Type::Real),
            ("right_slope", Type::Real),
            ("right_interception", Type::Real),
            ("right_variance", Type::Real),
            ("right_rvariance", Type::Real),
            ("left_rsquare", Type::Real),
            ("left_slope", Type::Real),
            ("left_interception", Type::Real),
            ("left_variance", Type::Real),
            ("left_rvariance", Type::Real),
        ],
        Scalar::SeriesStats => &[
            ("min", Type::Real),
            ("min_idx", Type::Long),
            ("max", Type::Real),
            ("max_idx", Type::Long),
            ("avg", Type::Real),
            ("stdev", Type::Real),
            ("variance", Type::Real),
        ],
        Scalar::SeriesDecompose => &[
            ("baseline", Type::Dynamic),
            ("seasonal", Type::Dynamic),
            ("trend", Type::Dynamic),
            ("residual", Type::Dynamic),
        ],
        Scalar::SeriesDecomposeAnomalies => {
            &[("ad_flag", Type::Dynamic), ("ad_score", Type::Dynamic), ("baseline", Type::Dynamic)]
        }
        Scalar::SeriesPeriodsDetect | Scalar::SeriesPeriodsValidate => {
            &[("periods", Type::Dynamic), ("scores", Type::Dynamic)]
        }
        _ => return None,
    };
    Some(Several { columns })
}
