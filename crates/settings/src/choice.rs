//! Settings that take one of a fixed list of words.

/// Declares an enum whose variants are words of the settings file, with the word beside the variant.
macro_rules! choice {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $( $(#[$doc:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[$doc])* $variant, )+
        }

        impl $name {
            /// Every word, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that stands for this value in the settings file.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The value that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::value::Field for $name {
            fn show(&self) -> $crate::value::Value {
                $crate::value::Value::Text(self.as_str().to_owned())
            }

            fn put(&mut self, value: $crate::value::Value) -> Result<(), String> {
                let word = value.into_text()?;
                *self = Self::from_word(&word).ok_or_else(|| format!("`{word}` is not a choice here"))?;
                Ok(())
            }
        }
    };
}

pub(crate) use choice;
