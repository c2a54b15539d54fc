//! Resolves virtual, semantic and computed columns against one file or one live batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow_schema::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Operator, ScalarUDF};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, IsNotNullExpr, Literal, lit,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use schemas::Table;
use schemas::attributes::{Owner, ValueType, promoted, promoted_keys};
use schemas::columns as c;
use schemas::semantic::{GRPC_STATUS, Semantic, semantic};
use schemas::version::footer;

use super::access::{Attr, AttrCast, AttrMerge};
use super::{Source, VirtualColumn};
use crate::functions;
use crate::table::Computed;

type Physical = Arc<dyn PhysicalExpr>;

/// Makes an adapter a file.
#[derive(Debug)]
pub(crate) struct AttributeAdapterFactory {
    pub(crate) table: Table,
}

impl PhysicalExprAdapterFactory for AttributeAdapterFactory {
    fn create(
        &self,
        logical: SchemaRef,
        physical: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let rest = DefaultPhysicalExprAdapterFactory
            .create(Arc::clone(&logical), Arc::clone(&physical))?;
        let facts = OnceLock::new();
        Ok(Arc::new(AttributeAdapter { table: self.table, logical, physical, rest, facts }))
    }
}

#[derive(Debug)]
struct AttributeAdapter {
    table: Table,
    logical: SchemaRef,
    physical: SchemaRef,
    /// Handles every column that is stored under its own name.
    rest: Arc<dyn PhysicalExprAdapter>,
    facts: OnceLock<Facts>,
}

/// What a file's footer says of its keys. A live batch says nothing: all is looked for.
#[derive(Debug, Default)]
struct Facts {
    full: BTreeSet<String>,
    keys: Option<BTreeMap<String, BTreeSet<String>>>,
}

impl PhysicalExprAdapter for AttributeAdapter {
    fn rewrite(&self, expr: Physical) -> Result<Physical> {
        let resolved = expr.transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            Ok(match self.resolve(column.name())? {
                Some(resolved) => Transformed::new(resolved, true, TreeNodeRecursion::Jump),
                None => Transformed::no(expr),
            })
        })?;
        self.rest.rewrite(resolved.data)
    }
}

impl AttributeAdapter {
    /// The expression over the file's own columns, for a column that no file stores.
    fn resolve(&self, name: &str) -> Result<Option<Physical>> {
        if let Some(column) = VirtualColumn::parse(name) {
            return self.access(&column).map(Some);
        }
        if self.physical.index_of(name).is_ok() && self.table.column(name).is_some() {
            return Ok(None);
        }
        if name == c::ATTRIBUTES && self.table.has_attributes() {
            return self.merged().map(Some);
        }
        // Only a column that the statement named is in the logical schema.
        if self.logical.index_of(name).is_err() || self.table.column(name).is_some() {
            return Ok(None);
        }
        if let Some(computed) = Computed::of(self.table, name) {
            return self.computed(computed).map(Some);
        }
        match semantic(name).filter(|s| s.applies_to(self.table)) {
            Some(semantic) => self.semantic(semantic).map(Some),
            None => Ok(None),
        }
    }

    fn access(&self, column: &VirtualColumn) -> Result<Physical> {
        let VirtualColumn { source, key, value_type } = column;
        if self.facts().lacks(*source, key) {
            return Ok(null(*value_type));
        }
        let json = || self.call(&Attr::udf(column.clone()), vec![self.json_column(*source)?]);
        let stored = source.owner().and_then(|owner| promoted(owner, key));
        match stored.filter(|p| self.physical.index_of(p.column).is_ok()) {
            None => json(),
            Some(promoted) => {
                let typed =
                    self.cast(self.column(promoted.column)?, promoted.value_type, *value_type)?;
                if self.facts().full.contains(promoted.column) {
                    return Ok(typed);
                }
                first_of(vec![typed, json()?])
            }
        }
    }

    fn json_column(&self, source: Source) -> Result<Physical> {
        match source {
            Source::Record => self.column(c::ATTRIBUTES_REST),
            other => self.column(other.column()),
        }
    }

    /// The column, or NULL text where the file lacks it.
    fn column(&self, name: &str) -> Result<Physical> {
        match self.physical.index_of(name) {
            Ok(index) => Ok(Arc::new(Column::new(name, index))),
            Err(_) => Ok(lit(ScalarValue::Utf8View(None))),
        }
    }

    fn cast(&self, column: Physical, from: ValueType, to: ValueType) -> Result<Physical> {
        match (from, to) {
            _ if from == to => Ok(column),
            (ValueType::Int, ValueType::Double) => {
                Ok(Arc::new(CastExpr::new(column, DataType::Float64, None)))
            }
            _ => self.call(&AttrCast::udf(to), vec![column]),
        }
    }

    fn call(&self, function: &Arc<ScalarUDF>, args: Vec<Physical>) -> Result<Physical> {
        let options = Arc::new(ConfigOptions::default());
        Ok(Arc::new(ScalarFunctionExpr::try_new(
            Arc::clone(function),
            args,
            &self.physical,
            options,
        )?))
    }

    fn merged(&self) -> Result<Physical> {
        let stored: Vec<_> = promoted_keys(Owner::Record)
            .iter()
            .filter(|p| self.physical.index_of(p.column).is_ok())
            .collect();
        let rest = self.column(c::ATTRIBUTES_REST)?;
        if stored.is_empty() {
            return Ok(rest);
        }
        let mut args = vec![rest];
        for promoted in &stored {
            args.push(self.column(promoted.column)?);
        }
        self.call(&AttrMerge::udf(stored.iter().map(|p| p.key)), args)
    }

    fn computed(&self, computed: Computed) -> Result<Physical> {
        Ok(match computed {
            Computed::EndTime => {
                let duration = self.column(c::DURATION_NS)?;
                let start =
                    Arc::new(CastExpr::new(self.column(c::START_TIME)?, DataType::Int64, None));
                let end = Arc::new(BinaryExpr::new(start, Operator::Plus, duration));
                Arc::new(CastExpr::new(end, schemas::Kind::Time.data_type(), None))
            }
            Computed::Value => {
                let int = CastExpr::new(self.column(c::VALUE_INT)?, DataType::Float64, None);
                first_of(vec![self.column(c::VALUE_DOUBLE)?, Arc::new(int)])?
            }
        })
    }

    fn semantic(&self, semantic: &Semantic) -> Result<Physical> {
        let source = match semantic.owner {
            Owner::Record => Source::Record,
            Owner::Resource => Source::Resource,
        };
        let mut alternatives = Vec::new();
        for alternative in semantic.sources {
            let expr = self.alternative(source, alternative, semantic.value_type)?;
            alternatives.push(expr);
        }
        first_of(alternatives)
    }

    fn alternative(
        &self,
        source: Source,
        alternative: &schemas::semantic::Source,
        value_type: ValueType,
    ) -> Result<Physical> {
        use schemas::semantic::Source as From;
        let key = |key: &str, value_type| {
            self.access(&VirtualColumn { source, key: key.to_owned(), value_type })
        };
        let when = |condition: Physical, then: Physical| -> Result<Physical> {
            Ok(Arc::new(CaseExpr::try_new(None, vec![(condition, then)], None)?))
        };
        let text = |k: &str| key(k, ValueType::Text);
        Ok(match alternative {
            From::Key(k) => key(k, value_type)?,
            From::BeforeQuery(k) => self.unless_null(text(k)?, |e| self.split(e, "?"))?,
            From::BeforePort(k) => self.unless_null(text(k)?, |e| self.split(e, ":"))?,
            From::ClientKey(k) => {
                self.unless_null(key(k, value_type)?, |e| when(self.is_client()?, e))?
            }
            From::ServerKey(k) => {
                let not_client = |e| -> Result<Physical> {
                    let condition = datafusion::physical_expr::expressions::not(self.is_client()?)?;
                    when(condition, e)
                };
                self.unless_null(key(k, value_type)?, not_client)?
            }
            From::Qualified(k) => self.unless_null(text(k)?, |e| {
                let position =
                    self.call(&functions::strpos(), vec![Arc::clone(&e), literal("/")])?;
                when(Arc::new(BinaryExpr::new(position, Operator::Gt, lit(0_i32))), e)
            })?,
            From::Joined(first, separator, second) => {
                let last = text(second)?;
                let joined = self.unless_null(text(first)?, |e| {
                    let args = vec![e, literal(separator), Arc::clone(&last)];
                    let both = self.call(&functions::concat(), args)?;
                    when(Arc::new(IsNotNullExpr::new(Arc::clone(&last))), both)
                })?;
                first_of(vec![joined, last])?
            }
            From::GrpcStatus(k) => self.unless_null(key(k, ValueType::Int)?, |e| {
                let names = GRPC_STATUS.iter().zip(0_i64..);
                let cases = names.map(|(name, number)| (lit(number), literal(name))).collect();
                Ok(Arc::new(CaseExpr::try_new(Some(e), cases, None)?))
            })?,
        })
    }

    /// Keeps a NULL a NULL, so that a file without the key is still skipped.
    fn unless_null(
        &self,
        expr: Physical,
        f: impl FnOnce(Physical) -> Result<Physical>,
    ) -> Result<Physical> {
        if is_null(&expr) { Ok(expr) } else { f(expr) }
    }

    fn split(&self, text: Physical, separator: &str) -> Result<Physical> {
        let part =
            self.call(&functions::split_part(), vec![text, literal(separator), lit(1_i64)])?;
        Ok(Arc::new(CastExpr::new(part, DataType::Utf8View, None)))
    }

    fn is_client(&self) -> Result<Physical> {
        if self.table != Table::Spans {
            return Ok(lit(false));
        }
        let is = |kind| -> Result<Physical> {
            Ok(Arc::new(BinaryExpr::new(self.column(c::KIND)?, Operator::Eq, literal(kind))))
        };
        Ok(Arc::new(BinaryExpr::new(is("client")?, Operator::Or, is("producer")?)))
    }

    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::read(&self.physical))
    }
}

impl Facts {
    fn read(physical: &SchemaRef) -> Facts {
        let json = |key: &str| -> Option<serde_json::Value> {
            serde_json::from_str(physical.metadata().get(key)?).ok()
        };
        let full = json(footer::PROMOTED)
            .as_ref()
            .and_then(|p| p.as_object())
            .map(|p| p.iter().filter(|(_, v)| *v == "full").map(|(k, _)| k.clone()).collect())
            .unwrap_or_default();
        let keys = json(footer::KEYS).as_ref().and_then(|k| k.as_object()).and_then(|owners| {
            // A file with too many keys lists only some; then absence proves nothing.
            owners.get("complete").and_then(|c| c.as_bool()).filter(|complete| *complete)?;
            let names = |v: &serde_json::Value| Some(v.as_object()?.keys().cloned().collect());
            Some(owners.iter().filter_map(|(o, v)| Some((o.clone(), names(v)?))).collect())
        });
        Facts { full, keys }
    }

    /// Whether the footer says that no row has the key.
    fn lacks(&self, source: Source, key: &str) -> bool {
        let Some(keys) = &self.keys else { return false };
        let owner = match source {
            Source::Record | Source::Filtered => "record",
            Source::Resource => "resource",
            Source::Scope => "scope",
        };
        keys.get(owner).is_some_and(|keys| !keys.contains(key))
    }
}

fn literal(text: &str) -> Physical {
    lit(ScalarValue::Utf8View(Some(text.to_owned())))
}

fn null(value_type: ValueType) -> Physical {
    lit(match value_type {
        ValueType::Text => ScalarValue::Utf8View(None),
        ValueType::Int => ScalarValue::Int64(None),
        ValueType::Double => ScalarValue::Float64(None),
        ValueType::Bool => ScalarValue::Boolean(None),
    })
}

fn is_null(expr: &Physical) -> bool {
    expr.downcast_ref::<Literal>().is_some_and(|l| l.value().is_null())
}

/// The first alternative that is not null. Alternatives that are NULL for the whole file vanish, so
/// that what remains is often a plain column that pruning understands.
fn first_of(alternatives: Vec<Physical>) -> Result<Physical> {
    let fallback = alternatives.first().map(Arc::clone);
    let mut present: Vec<Physical> = alternatives.into_iter().filter(|e| !is_null(e)).collect();
    let Some(last) = present.pop() else {
        return fallback
            .ok_or_else(|| datafusion::common::internal_datafusion_err!("no alternatives"));
    };
    if present.is_empty() {
        return Ok(last);
    }
    let cases = present
        .into_iter()
        .map(|e| (Arc::new(IsNotNullExpr::new(Arc::clone(&e))) as Physical, e))
        .collect();
    Ok(Arc::new(CaseExpr::try_new(None, cases, Some(last))?))
}
