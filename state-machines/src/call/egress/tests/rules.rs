//! Why a text is no path template.

use super::*;

//= docs/spec/egress.md#rules
#[test]
fn a_malformed_template_says_what_is_wrong_with_it() {
    for (text, error) in [
        ("", TemplateError::NotAbsolute),
        ("a", TemplateError::NotAbsolute),
        ("/a//b", TemplateError::Literal),
        ("/./a", TemplateError::Literal),
        ("/..", TemplateError::Literal),
        ("/a b", TemplateError::Literal),
        ("/a%20b", TemplateError::Literal),
        ("/a?b={c}", TemplateError::Literal),
        ("/{c}?b", TemplateError::Literal),
        ("/{", TemplateError::Parameter),
        ("/}", TemplateError::Parameter),
        ("/a}{b}", TemplateError::Parameter),
        ("/{}", TemplateError::Parameter),
        ("/{*}", TemplateError::Parameter),
        ("/{a b}", TemplateError::Parameter),
        ("/{a b*}", TemplateError::Parameter),
        ("/{a}{b}", TemplateError::Parameter),
        ("/{a*}/b", TemplateError::Rest),
        ("/x{a*}", TemplateError::Rest),
        ("/{a*}x", TemplateError::Rest),
    ] {
        assert_eq!(text.parse::<PathTemplate>(), Err(error), "{text}");
    }
}
