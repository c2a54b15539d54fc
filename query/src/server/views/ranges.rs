//! Ranges of time: their ends, the condition on a column, columns of equal width over them.

use api::time;
use api::views::{Bins, TimeRange};

use crate::QueryError;

pub(super) const MINUTE_NS: i64 = 60_000_000_000;
pub(super) const HOUR_NS: i64 = 60 * MINUTE_NS;
pub(super) const COLUMNS_DEFAULT: u64 = 60;
pub(super) const COLUMNS_MAX: u64 = 1_000;

/// The range of a question, refused when it is empty.
pub(super) fn range(from: Option<String>, to: Option<String>) -> Result<TimeRange, QueryError> {
    let range = TimeRange { from, to };
    match bounds_ns(&range)? {
        (Some(from_ns), Some(to_ns)) if from_ns >= to_ns => Err(QueryError::invalid(format!(
            "the range is empty: it begins at {} and ends at {}",
            time::format(from_ns),
            time::format(to_ns)
        ))),
        _ => Ok(range),
    }
}

/// The same, closed: up to now and so long before where it was left open.
pub(super) fn closed(
    from: Option<String>,
    to: Option<String>,
    now_ns: i64,
    length_ns: i64,
) -> Result<TimeRange, QueryError> {
    let to = to.unwrap_or_else(|| time::format(now_ns));
    let from = match from {
        Some(from) => from,
        None => time::format(instant_ns(&to)?.saturating_sub(length_ns)),
    };
    range(Some(from), Some(to))
}

/// Both ends in nanoseconds. The texts were written by [`super::request`].
pub(super) fn bounds_ns(range: &TimeRange) -> Result<(Option<i64>, Option<i64>), QueryError> {
    let ns = |text: &Option<String>| text.as_deref().map(instant_ns).transpose();
    Ok((ns(&range.from)?, ns(&range.to)?))
}

/// Both ends of a range that has them.
pub(super) fn ends_ns(range: &TimeRange) -> Result<(i64, i64), QueryError> {
    match bounds_ns(range)? {
        (Some(from_ns), Some(to_ns)) => Ok((from_ns, to_ns)),
        _ => Err(QueryError::invalid("from and to are needed for this")),
    }
}

/// A time that [`super::request`] has made absolute.
pub(super) fn instant_ns(text: &str) -> Result<i64, QueryError> {
    time::parse(text, 0).map_err(|error| QueryError::invalid(error.to_string()))
}

/// A range from its ends.
pub(super) fn of_ns((from_ns, to_ns): (i64, i64)) -> TimeRange {
    TimeRange { from: Some(time::format(from_ns)), to: Some(time::format(to_ns)) }
}

/// The condition that a time column lies in the range; `TRUE` where it is open.
pub(super) fn within(range: &TimeRange, column: &str) -> Result<String, QueryError> {
    let (from, to) = bounds_ns(range)?;
    let from = from.map(|ns| format!("{column} >= {}", time::sql_literal(ns)));
    let to = to.map(|ns| format!("{column} < {}", time::sql_literal(ns)));
    let ends: Vec<String> = from.into_iter().chain(to).collect();
    Ok(if ends.is_empty() { "TRUE".to_owned() } else { ends.join(" AND ") })
}

/// The condition of a closed range.
pub(super) fn between((from_ns, to_ns): (i64, i64), column: &str) -> String {
    let (from, to) = (time::sql_literal(from_ns), time::sql_literal(to_ns));
    format!("{column} >= {from} AND {column} < {to}")
}

/// The period that a question compares with, by its word.
pub(super) fn compared(
    range: &TimeRange,
    with: Option<&str>,
) -> Result<Option<TimeRange>, QueryError> {
    let Some(with) = with.filter(|with| *with != "none") else { return Ok(None) };
    let (from_ns, to_ns) = ends_ns(range)?;
    let back_ns = match with {
        "previous" => to_ns - from_ns,
        ago => {
            let length = time::duration(ago.strip_prefix('-').unwrap_or(ago));
            let length = length.map_err(|error| {
                QueryError::invalid(format!("compare: {error}"))
                    .with_hint("write previous, none, or a length such as 1d")
            })?;
            i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
        }
    };
    if back_ns == 0 {
        return Err(QueryError::invalid("compare: the period before is the period itself"));
    }
    let back = |ns: i64| ns.saturating_sub(back_ns);
    Ok(Some(of_ns((back(from_ns), back(to_ns)))))
}

/// Columns of equal width over a range, aligned to the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) from_ns: i64,
    pub(super) width_ns: i64,
    pub(super) count: usize,
}

impl Grid {
    /// At most so many columns and one that is begun, of one of the usual widths.
    pub(super) fn over(range: &TimeRange, columns: u64) -> Result<Grid, QueryError> {
        Grid::wider(range, columns, 0)
    }

    /// The same with columns of a least width.
    pub(super) fn wider(
        range: &TimeRange,
        columns: u64,
        least_ns: i64,
    ) -> Result<Grid, QueryError> {
        if !(1..=COLUMNS_MAX).contains(&columns) {
            let message = format!("columns: {columns} is not from 1 to {COLUMNS_MAX}");
            return Err(QueryError::invalid(message));
        }
        let (from_ns, to_ns) = ends_ns(range)?;
        let length_ns = to_ns.saturating_sub(from_ns);
        let fitting = i64::try_from(columns).unwrap_or(i64::MAX);
        let least_ns = least_ns.min(length_ns).max(1);
        let columns = fitting.min((length_ns / least_ns).max(1));
        let width_ns = column_ns(length_ns, columns.unsigned_abs());
        let from_ns = from_ns.div_euclid(width_ns).saturating_mul(width_ns);
        let count =
            (to_ns - from_ns).div_euclid(width_ns) + i64::from((to_ns - from_ns) % width_ns != 0);
        Ok(Grid { from_ns, width_ns, count: usize::try_from(count).unwrap_or(0) })
    }

    /// The number of the column that a time lies in, as SQL.
    pub(super) fn column_of(&self, time: &str) -> String {
        format!("(epoch_ns({time}) - {}) / {}", self.from_ns, self.width_ns)
    }

    pub(super) fn start_ns(&self, column: usize) -> i64 {
        self.from_ns + self.width_ns * column as i64
    }

    /// Values by the number of their column; one without a value gets the default.
    pub(super) fn fill<T: Clone + Default>(
        &self,
        values: impl IntoIterator<Item = (i64, T)>,
    ) -> Vec<T> {
        let mut filled = vec![T::default(); self.count];
        for (column, value) in values {
            let place = usize::try_from(column).ok().and_then(|column| filled.get_mut(column));
            if let Some(place) = place {
                *place = value;
            }
        }
        filled
    }

    pub(super) fn bins(&self) -> Bins {
        Bins { from: time::format(self.from_ns), width_ns: self.width_ns, count: self.count }
    }
}

/// The narrowest of the usual widths with which the columns suffice; one more may be begun.
pub(super) fn column_ns(length_ns: i64, columns: u64) -> i64 {
    const SECONDS: [i64; 19] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400,
        172_800, 604_800,
    ];
    let columns = i64::try_from(columns).unwrap_or(i64::MAX);
    let widths = SECONDS.iter().map(|seconds| seconds * 1_000_000_000);
    let last = 604_800 * 1_000_000_000;
    let enough = |width: &i64| length_ns <= width.saturating_mul(columns);
    // Beyond: whole weeks, as many as it takes.
    widths.clone().find(enough).unwrap_or_else(|| {
        let weeks = length_ns / columns / last + 1;
        weeks * last
    })
}
