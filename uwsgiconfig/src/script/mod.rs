//! `uwsgiplugin.py` read without running it: assignments, lists, texts, conditions, and the questions that such files ask
//! (`os.environ`, `sys.platform`, `pkg-config`). What it cannot know stays unknown until somebody needs it.

mod lexer;
mod parser;
mod run;
mod value;

pub use value::Value;

use std::collections::HashMap;
use std::path::Path;

/// What a script sets.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Its names.
    pub names: HashMap<String, Value>,
    /// The first statement that only does something (`os.system()`), which is not done.
    pub left_out: Option<Trouble>,
}

/// A place in a script, and what stands in the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub what: String,
}

/// Reads a script that lies in a folder.
///
/// # Errors
/// It has something in it that cannot be understood, or depends on something that only running it would tell.
pub fn read(text: &str, folder: &Path) -> Result<Outcome, Trouble> {
    let tokens = lexer::tokens(text)?;
    let statements = parser::parse(&tokens)?;
    run::run(&statements, folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> HashMap<String, Value> {
        read(text, Path::new("/folder")).expect(text).names
    }

    fn shown(text: &str, name: &str) -> String {
        names(text)[name].list().expect(text).join("|")
    }

    #[test]
    fn texts_and_lists() {
        let text = "# c\nNAME='one'\nA = ['a',\n  \"b\\tc\", # why\n]\nA += ['d']\nA.append('e' 'f')\nA.extend(('g',))\nB = A + ['%s-%d' % (NAME, 3)] \\\n  + [f'{NAME}!', '{0}/{1}'.format('x', NAME)]\n";
        assert_eq!(shown(text, "A"), "a|b\tc|d|ef|g");
        assert_eq!(shown(text, "B"), "a|b\tc|d|ef|g|one-3|one!|x/one");
        assert_eq!(shown("A = 'x y  z'.split() + r'a\\b'.split(',')", "A"), "x|y|z|a\\b");
        assert_eq!(
            shown("A = [x.upper() for x in ['a', 'b', 'c'] if x != 'b']", "A"),
            "A|C"
        );
        assert_eq!(
            shown("A = ' '.join(['a', 'b']).replace('a', 'c')[0:2].strip()", "A"),
            "c"
        );
    }

    #[test]
    fn conditions_and_the_platform() {
        let text = "import sys, os\nif sys.platform == 'darwin':\n    A = ['mac']\nelif sys.platform.startswith('linux') and not False:\n    A = ['linux']\n    if os.uname()[0] == 'Linux': A += ['!']\nelse:\n    A = []\nB = 'yes' if 'x' in ['x'] else 'no'\n";
        assert_eq!(shown(text, "A"), "linux|!");
        assert_eq!(shown(text, "B"), "yes");
    }

    #[test]
    fn the_environment_and_paths() {
        let text = "import os\nfrom os.path import join, dirname\nA = os.environ.get('NO_SUCH_THING', 'else')\nB = join(dirname(os.path.abspath(__file__)), 'inc')\nC = os.environ.get('PATH') is not None\ntry:\n    D = os.environ['NO_SUCH_THING']\nexcept KeyError:\n    D = 'caught'\n";
        assert_eq!(shown(text, "A"), "else");
        assert_eq!(shown(text, "B"), "/folder/inc");
        assert_eq!(shown(text, "D"), "caught");
    }

    #[test]
    fn tools_are_asked_and_other_programs_are_not() {
        let text = "import os, subprocess\nA = os.popen('pkg-config --no-such-flag x 2>/dev/null').read().rstrip().split()\nB = ['-I' + subprocess.check_output(['uname', '-s']).decode().strip()]\n";
        assert_eq!((shown(text, "A"), shown(text, "B")), (String::new(), "-ILinux".into()));
        let choice = "import os\nif os.popen('false').close() is None:\n    A = 'first'\nelif os.popen('true').close() is None:\n    A = 'second'\n";
        assert_eq!(shown(choice, "A"), "second");
        for (text, line) in [
            ("import os\nA = os.popen('touch x').read()\n", 2),
            (
                "import os\n\nA = ['x'] + os.popen('pkg-config x; touch y').read().split()\n",
                3,
            ),
            ("import os\nA = os.popen('./my-config --cflags').read()\n", 2),
            ("A = open('x').read()\n", 1),
            ("import other\nA = other.flags()\n", 2),
        ] {
            let unknown = names(text).remove("A").expect("it is set");
            assert_eq!(unknown.list().expect_err(text).line, line, "{text}");
        }
        // what nobody needs may be unknown
        assert_eq!(
            shown("import os\nos.system('touch x')\nx = open('y')\nprint(x)\nA = 'a'", "A"),
            "a"
        );
    }

    #[test]
    fn functions_of_the_script_are_followed() {
        let text = "import os\ndef split(s):\n    flags = s.rstrip().split(' ')\n    return [] if flags == [''] else flags\n\ndef flags(switch):\n    if switch == 'x':\n        return\n    return split(os.popen('echo -%s -b' % switch).read())\n\nflags_ = flags('x')\nA = ['0'] + flags('a')\nB = split('')\n";
        assert_eq!(shown(text, "A"), "0|-a|-b");
        assert_eq!(shown(text, "B"), "");
        assert_eq!(names(text)["flags_"], Value::None);
        let deep = names("def f(x):\n    return f(x)\nA = f('a')\n");
        assert_eq!(deep["A"].list().unwrap_err().line, 1);
        let unknown = names("def f(x, y=1):\n    return x\nA = f('a')\n");
        assert!(unknown["A"].list().is_err());
        assert!(read("return 1\n", Path::new(".")).is_err());
    }

    #[test]
    fn what_is_left_out_is_told() {
        let left_out = |text: &str| {
            read(text, Path::new("."))
                .expect(text)
                .left_out
                .map(|t| (t.line, t.what))
        };
        assert_eq!(
            left_out("import os\nA = []\nA.append('x')\nprint('x')\nos.system('moc')\nmake()\n"),
            Some((5, "os.system()".into()))
        );
        assert_eq!(left_out("A = []\nprint(A)\n"), None);
    }

    #[test]
    fn what_depends_on_the_unknown_is_said_with_its_line() {
        let trouble = read("import os\nif open('x'):\n    NAME = 'a'\n", Path::new(".")).unwrap_err();
        assert_eq!(trouble.line, 2);
        assert!(read("class X:\n  pass\n", Path::new(".")).is_err());
        assert!(read("A = [1, 2\n", Path::new(".")).is_err());
    }
}
