//! The templates that are shipped with the product.

use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::decompose::file::read;

const SHIPPED: &str = include_str!("../../assets/templates.toml");

/// The templates of the product.
///
/// # Panics
/// Never: a test reads them.
#[must_use]
pub fn shipped_templates() -> Catalogue {
    let file: serde_json::Value = toml::from_str(SHIPPED).expect("the shipped file is TOML");
    Catalogue::of(read(&file).expect("the shipped templates are valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_shipped_templates_are_there() {
        let keys: Vec<String> =
            shipped_templates().iter().map(|template| template.key.clone()).collect();
        let expected = [
            "crud",
            "microservice",
            "refactoring_task",
            "security",
            "ui",
            "web_service_implementation",
        ];
        assert_eq!(keys, expected);
    }
}
