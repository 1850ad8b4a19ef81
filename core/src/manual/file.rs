//! rsgi.ini(5): the form of a configuration file, and the lines that only files have.

use super::roff::{self, escape};
use crate::options::{Apply, table};
use std::fmt::Write;

const FORM: &str = r"A configuration is an ordered list of options. A file begins with a line
.B [uwsgi]
or
.BR [rsgi] ;
each further line is
.IR name\ =\ value ,
where
.I name
is an option of
.BR rsgi (1)
without its dashes. Lines that begin with ; or # are comments, and so are empty lines. A flag is
.IR name\ =\ true .
Other sections are read when they are named:
.IR FILE : SECTION .
.PP
Of an option with one value the last one counts, others add up. What comes later counts more: the environment
.RB ( RSGI_NAME ,
.BR UWSGI_NAME ),
the command line with the files that it names, then templates
.RB ( inherit ).
.PP
The same options stand in XML, YAML, JSON and TOML files; a list repeats its option there.
.SH VALUES
.TP
.BI %( name )
the value of an option or of a name of the file's own; + \- * / ++ \-\- and parentheses may stand inside
.TP
.BI $( NAME )
a variable of the environment
.TP
.BI @( source )
the text of a file, or of exec://COMMAND, fd://N, data://TEXT, http://HOST/FILE
.TP
.BR %d ,\  %n ,\  %s ,\  %p ,\  %k
the file's folder, its name without ending, its name, its path; the number of processors
.SH BLOCKS AND SOURCES
These lines are read with the file and are no options of the server.
";

/// The page.
pub fn page() -> String {
    let mut out = roff::title("RSGI.INI", 5, "File Formats");
    out += ".SH NAME\nrsgi.ini \\- configuration of rsgi\n.SH DESCRIPTION\n";
    out += FORM;
    for row in table::rows().filter(|row| matches!(row.apply, Apply::Reader)) {
        let names: Vec<String> = row.names().map(|n| format!("\\fB{}\\fR", escape(n))).collect();
        let _ = write!(out, ".TP\n{}\n{}", names.join(", "), roff::line(row.help));
    }
    out += ".SH EXAMPLE\n";
    out += &roff::verbatim(
        "[uwsgi]\nhttp-socket = 0.0.0.0:9090\nwsgi-file = %dapp.py\nprocesses = %k\nthreads = 2\n\
         if-env = STAGING\nstats = :9191\nendif =",
    );
    out += ".PP\n.B rsgi \\-\\-check\\-config\n.I FILE\ntells every mistake of a file, and what each of its options means here.\n";
    out += ".SH SEE ALSO\n.BR rsgi (1)\n";
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_and_sources_are_told() {
        let page = super::page();
        for name in ["if\\-env", "for\\-glob", "inherit", "declare\\-option", "end\\-if"] {
            assert!(page.contains(&format!("\\fB{name}\\fR")), "{name}");
        }
        assert!(!page.contains("\\fBprocesses\\fR"));
    }
}
