//! The patterns of rows: `{name}` is a segment or a part of one, `{*name}` the rest of the path.

/// A pattern with numbers instead of names, the identity of a row.
///
/// # Errors
/// A path that no request can have, or that the router does not understand.
pub(super) fn nameless(pattern: &str) -> Result<String, &'static str> {
    if !pattern.starts_with('/') {
        return Err("a path begins with a slash");
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte);
    if !pattern.bytes().all(is_plain) {
        return Err("a path must be ASCII as MLflow decodes it, without a query");
    }
    if pattern.split('/').skip(1).any(|segment| [".", ".."].contains(&segment)) || pattern.contains("//") {
        return Err("a path cannot have dot segments or empty ones");
    }
    let (mut numbered, mut rest, mut number) = (String::with_capacity(pattern.len()), pattern, 0);
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or("a `{` in a path has no `}`")?;
        let (star, name) = name.strip_prefix('*').map_or(("", name), |name| ("*", name));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("a parameter of a path has a name: {name}, or {*name} for the rest");
        }
        if star == "*" && !(before.ends_with('/') && behind.is_empty()) {
            return Err("{*name} must be the whole end of a path");
        }
        numbered.push_str(&format!("{before}{{{star}p{number}}}"));
        (rest, number) = (behind, number + 1);
    }
    if rest.contains('}') {
        return Err("a `}` in a path has no `{`");
    }
    numbered.push_str(rest);
    Ok(numbered)
}

/// A path that matches a [nameless] pattern and no narrower one.
pub(super) fn sample(nameless: &str) -> String {
    let segments = nameless.split('/').map(|segment| match segment.split_once('{') {
        Some((_, name)) if name.starts_with('*') => "~/~".to_owned(),
        Some((before, name)) => format!("{before}~{}", name.split_once('}').map_or("", |(_, behind)| behind)),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The path before the `{*name}` of a pattern, if that has no other names.
pub(super) fn before_rest(pattern: &str) -> Option<&str> {
    pattern.split_once("{*").map(|(before, _)| before).filter(|before| !before.contains('{'))
}

/// Whether some path matches both patterns, and the router would choose `new`: literal segments come before names.
pub(super) fn takes_from(new: &str, known: &str) -> bool {
    let (mut new, mut known, mut is_first) = (new.split('/'), known.split('/'), None);
    loop {
        let (new, known) = match (new.next(), known.next()) {
            (None, None) => return is_first == Some(true),
            (Some(new), Some(known)) => (new, known),
            _ => return false,
        };
        let (new_takes_all, known_takes_all) = (new.starts_with("{*"), known.starts_with("{*"));
        if new_takes_all || known_takes_all {
            return is_first.unwrap_or(!new_takes_all);
        }
        if new == known {
            continue;
        }
        let written = |segment: &str| segment.len() - name_in(segment).map_or(0, str::len);
        match (name_in(new), name_in(known)) {
            (None, None) => return false,
            (None, Some(_)) if !fits(known, new) => return false,
            (Some(_), None) if !fits(new, known) => return false,
            (None, Some(_)) => is_first = is_first.or(Some(true)),
            (Some(_), None) => is_first = is_first.or(Some(false)),
            (Some(_), Some(_)) => is_first = is_first.or(Some(written(new) > written(known))),
        }
    }
}

/// The `{name}` of a segment.
fn name_in(segment: &str) -> Option<&str> {
    segment.get(segment.find('{')?..=segment.find('}')?)
}

/// Whether a segment without a name matches one with a name.
fn fits(pattern: &str, segment: &str) -> bool {
    let Some((before, behind)) = name_in(pattern).and_then(|name| pattern.split_once(name)) else {
        return false;
    };
    segment.len() > before.len() + behind.len() && segment.starts_with(before) && segment.ends_with(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_difference() {
        for (pattern, expected) in [
            ("/", Ok("/")),
            ("/a/{b}/c", Ok("/a/{p0}/c")),
            ("/a/@{b}/{c}:d/{*e}", Ok("/a/@{p0}/{p1}:d/{*p2}")),
            ("a", Err("begins with a slash")),
            ("/a?b", Err("without a query")),
            ("/a%20b", Err("as MLflow decodes it")),
            ("/a//b", Err("empty ones")),
            ("/a/../b", Err("dot segments")),
            ("/{a", Err("has no `}`")),
            ("/a}", Err("has no `{`")),
            ("/{}", Err("has a name")),
            ("/{a.b}", Err("has a name")),
            ("/{*a}/b", Err("the whole end")),
            ("/a{*b}", Err("the whole end")),
        ] {
            match (nameless(pattern), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{pattern}: {found}"),
                (found, _) => panic!("{pattern}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_sample_fits() {
        assert_eq!(sample("/a/{p0}/@{p1}:c/{*p2}"), "/a/~/@~:c/~/~");
        assert_eq!(sample("/"), "/");
    }

    #[test]
    fn what_a_new_row_would_take_from_a_known_one() {
        for (new, known, takes) in [
            ("/a/b", "/a/{p0}", true),
            ("/a/{p0}", "/a/b", false),
            ("/a/b/{p0}/d", "/a/{p0}/c/d", true),
            ("/a/b/{p0}/e", "/a/{p0}/c/d", false),
            ("/a/{p0}/c/d", "/a/b/{p0}/d", false),
            ("/a/b/{*p0}", "/a/{p0}/c", true),
            ("/a/{*p0}", "/a/b/c", false),
            ("/a/b/c", "/a/{*p0}", true),
            ("/a/b", "/a/b/c", false),
            ("/a/m:x", "/a/{p0}:x", true),
            ("/a/m:y", "/a/{p0}:x", false),
            ("/a/v{p0}", "/a/{p0}", true),
            ("/a/{p0}", "/a/v{p0}", false),
        ] {
            assert_eq!(takes_from(new, known), takes, "{new} {known}");
        }
    }
}
