//! Every scalar function, operator and aggregate that a plan can hold, under its canonical name. Engines match on these
//! exhaustively: a function that is listed and not implemented does not compile. Signatures are the binder's.

macro_rules! functions {
    ($(#[$head:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in query text.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

functions! {
    /// A function or operator from values of one row to a value.
    #[allow(missing_docs, reason = "each is what Kusto's reference says under its name")]
    Scalar {
        // Operators of numbers, datetimes and timespans.
        Add = "+",
        Subtract = "-",
        Multiply = "*",
        Divide = "/",
        Modulo = "%",
        Negate = "-",
        // Comparison; both sides have one type. The equality family is total: null against a value is false, its contrary true.
        Equal = "==",
        NotEqual = "!=",
        Less = "<",
        LessOrEqual = "<=",
        Greater = ">",
        GreaterOrEqual = ">=",
        Between = "between",
        NotBetween = "!between",
        // Logic.
        And = "and",
        Or = "or",
        Not = "not",
        // Text predicates; `Cs` minds case, the others do not.
        EqualIgnoreCase = "=~",
        NotEqualIgnoreCase = "!~",
        Has = "has",
        NotHas = "!has",
        HasCs = "has_cs",
        NotHasCs = "!has_cs",
        HasPrefix = "hasprefix",
        NotHasPrefix = "!hasprefix",
        HasPrefixCs = "hasprefix_cs",
        NotHasPrefixCs = "!hasprefix_cs",
        HasSuffix = "hassuffix",
        NotHasSuffix = "!hassuffix",
        HasSuffixCs = "hassuffix_cs",
        NotHasSuffixCs = "!hassuffix_cs",
        Contains = "contains",
        NotContains = "!contains",
        ContainsCs = "contains_cs",
        NotContainsCs = "!contains_cs",
        StartsWith = "startswith",
        NotStartsWith = "!startswith",
        StartsWithCs = "startswith_cs",
        NotStartsWithCs = "!startswith_cs",
        EndsWith = "endswith",
        NotEndsWith = "!endswith",
        EndsWithCs = "endswith_cs",
        NotEndsWithCs = "!endswith_cs",
        MatchesRegex = "matches regex",
        HasAny = "has_any",
        HasAll = "has_all",
        // Membership: the first argument among the others, all of its type (or one dynamic array).
        In = "in",
        NotIn = "!in",
        InIgnoreCase = "in~",
        NotInIgnoreCase = "!in~",
        // Conversion; null where it fails, empty for text.
        ToBool = "tobool",
        ToInt = "toint",
        ToLong = "tolong",
        ToReal = "toreal",
        ToDecimal = "todecimal",
        ToString = "tostring",
        ToDateTime = "todatetime",
        ToTimeSpan = "totimespan",
        ToGuid = "toguid",
        ToDynamic = "parse_json",
        // Choice.
        Iff = "iff",
        Case = "case",
        Coalesce = "coalesce",
        MaxOf = "max_of",
        MinOf = "min_of",
        // Emptiness.
        IsEmpty = "isempty",
        IsNotEmpty = "isnotempty",
        IsNull = "isnull",
        IsNotNull = "isnotnull",
        IsNan = "isnan",
        IsInf = "isinf",
        IsFinite = "isfinite",
        IsAscii = "isascii",
        IsUtf8 = "isutf8",
        // Numbers.
        Abs = "abs",
        Sign = "sign",
        Bin = "bin",
        BinAt = "bin_at",
        Floor = "floor",
        Ceiling = "ceiling",
        Round = "round",
        Sqrt = "sqrt",
        Exp = "exp",
        Exp2 = "exp2",
        Exp10 = "exp10",
        Log = "log",
        Log2 = "log2",
        Log10 = "log10",
        Pow = "pow",
        Pi = "pi",
        Sin = "sin",
        Cos = "cos",
        Tan = "tan",
        Asin = "asin",
        Acos = "acos",
        Atan = "atan",
        Atan2 = "atan2",
        Degrees = "degrees",
        Radians = "radians",
        Cot = "cot",
        Rand = "rand",
        ToHex = "tohex",
        BinaryAnd = "binary_and",
        BinaryOr = "binary_or",
        BinaryXor = "binary_xor",
        BinaryNot = "binary_not",
        BinaryShiftLeft = "binary_shift_left",
        BinaryShiftRight = "binary_shift_right",
        BitsetCountOnes = "bitset_count_ones",
        Range = "range",
        // Text.
        Strcat = "strcat",
        StrcatDelim = "strcat_delim",
        Strlen = "strlen",
        StringSize = "string_size",
        Strrep = "strrep",
        Strcmp = "strcmp",
        Substring = "substring",
        Split = "split",
        IndexOf = "indexof",
        IndexOfRegex = "indexof_regex",
        CountOf = "countof",
        ReplaceString = "replace_string",
        ReplaceStrings = "replace_strings",
        ReplaceRegex = "replace_regex",
        ToLower = "tolower",
        ToUpper = "toupper",
        Trim = "trim",
        TrimStart = "trim_start",
        TrimEnd = "trim_end",
        Reverse = "reverse",
        Translate = "translate",
        Extract = "extract",
        ExtractAll = "extract_all",
        ExtractJson = "extract_json",
        ParseUrl = "parse_url",
        ParseUrlQuery = "parse_urlquery",
        UrlEncode = "url_encode",
        UrlEncodeComponent = "url_encode_component",
        UrlDecode = "url_decode",
        Base64Encode = "base64_encode_tostring",
        Base64Decode = "base64_decode_tostring",
        ParsePath = "parse_path",
        ParseVersion = "parse_version",
        ParseCsv = "parse_csv",
        ParseIpv4 = "parse_ipv4",
        ParseIpv4Mask = "parse_ipv4_mask",
        Ipv4Compare = "ipv4_compare",
        Ipv4IsMatch = "ipv4_is_match",
        Ipv4IsInRange = "ipv4_is_in_range",
        Ipv4IsPrivate = "ipv4_is_private",
        Ipv4NetmaskSuffix = "ipv4_netmask_suffix",
        FormatIpv4 = "format_ipv4",
        HasIpv4 = "has_ipv4",
        Hash = "hash",
        HashMd5 = "hash_md5",
        HashSha1 = "hash_sha1",
        HashSha256 = "hash_sha256",
        NewGuid = "new_guid",
        ToUtf8 = "unicode_codepoints_from_string",
        MakeString = "unicode_codepoints_to_string",
        RegexQuote = "regex_quote",
        GetType = "gettype",
        // Time.
        StartOfDay = "startofday",
        StartOfWeek = "startofweek",
        StartOfMonth = "startofmonth",
        StartOfYear = "startofyear",
        EndOfDay = "endofday",
        EndOfWeek = "endofweek",
        EndOfMonth = "endofmonth",
        EndOfYear = "endofyear",
        DateTimeDiff = "datetime_diff",
        DateTimeAdd = "datetime_add",
        DateTimePart = "datetime_part",
        FormatDateTime = "format_datetime",
        FormatTimeSpan = "format_timespan",
        DayOfWeek = "dayofweek",
        DayOfMonth = "dayofmonth",
        DayOfYear = "dayofyear",
        WeekOfYear = "week_of_year",
        HourOfDay = "hourofday",
        MonthOfYear = "monthofyear",
        GetYear = "getyear",
        GetMonth = "getmonth",
        MakeDateTime = "make_datetime",
        MakeTimeSpan = "make_timespan",
        UnixSeconds = "unixtime_seconds_todatetime",
        UnixMilliseconds = "unixtime_milliseconds_todatetime",
        UnixMicroseconds = "unixtime_microseconds_todatetime",
        UnixNanoseconds = "unixtime_nanoseconds_todatetime",
        DateTimeUtcToLocal = "datetime_utc_to_local",
        DateTimeLocalToUtc = "datetime_local_to_utc",
        // Dynamic.
        PackArray = "pack_array",
        Pack = "bag_pack",
        PackAll = "pack_all",
        PackDictionary = "pack_dictionary",
        ArrayLength = "array_length",
        ArrayConcat = "array_concat",
        ArraySlice = "array_slice",
        ArraySplit = "array_split",
        ArraySum = "array_sum",
        ArrayIndexOf = "array_index_of",
        ArrayReverse = "array_reverse",
        ArraySortAsc = "array_sort_asc",
        ArraySortDesc = "array_sort_desc",
        ArrayIff = "array_iff",
        ArrayRotateLeft = "array_rotate_left",
        ArrayRotateRight = "array_rotate_right",
        ArrayShiftLeft = "array_shift_left",
        ArrayShiftRight = "array_shift_right",
        StrcatArray = "strcat_array",
        BagKeys = "bag_keys",
        BagHasKey = "bag_has_key",
        BagMerge = "bag_merge",
        BagRemoveKeys = "bag_remove_keys",
        BagSetKey = "bag_set_key",
        BagZip = "bag_zip",
        TreePath = "treepath",
        Zip = "zip",
        Repeat = "repeat",
        SetDifference = "set_difference",
        SetIntersect = "set_intersect",
        SetUnion = "set_union",
        SetHasElement = "set_has_element",
        SetEquals = "set_equals",
        JaccardIndex = "jaccard_index",
        DynamicToJson = "dynamic_to_json",
        // Series: arrays of numbers of `make-series`. Those that Kusto makes several columns of yield one dynamic array; the binder takes it apart.
        SeriesFitLine = "series_fit_line",
        SeriesFit2Lines = "series_fit_2lines",
        SeriesFitLineDynamic = "series_fit_line_dynamic",
        SeriesFit2LinesDynamic = "series_fit_2lines_dynamic",
        SeriesStats = "series_stats",
        SeriesStatsDynamic = "series_stats_dynamic",
        SeriesFillConst = "series_fill_const",
        SeriesFillForward = "series_fill_forward",
        SeriesFillBackward = "series_fill_backward",
        SeriesFillLinear = "series_fill_linear",
        SeriesOutliers = "series_outliers",
        SeriesDecompose = "series_decompose",
        SeriesDecomposeAnomalies = "series_decompose_anomalies",
        SeriesDecomposeForecast = "series_decompose_forecast",
        SeriesPeriodsDetect = "series_periods_detect",
        SeriesPeriodsValidate = "series_periods_validate",
        SeriesSeasonal = "series_seasonal",
        SeriesFir = "series_fir",
        SeriesIir = "series_iir",
        SeriesAdd = "series_add",
        SeriesSubtract = "series_subtract",
        SeriesMultiply = "series_multiply",
        SeriesDivide = "series_divide",
        SeriesEquals = "series_equals",
        SeriesNotEquals = "series_not_equals",
        SeriesLess = "series_less",
        SeriesLessEquals = "series_less_equals",
        SeriesGreater = "series_greater",
        SeriesGreaterEquals = "series_greater_equals",
        SeriesAbs = "series_abs",
        SeriesSum = "series_sum",
        SeriesProduct = "series_product",
        SeriesDotProduct = "series_dot_product",
        SeriesPearsonCorrelation = "series_pearson_correlation",
        SeriesMagnitude = "series_magnitude",
        SeriesExp = "series_exp",
        SeriesLog = "series_log",
        SeriesPow = "series_pow",
        SeriesSign = "series_sign",
        SeriesCeiling = "series_ceiling",
        SeriesFloor = "series_floor",
    }
}

functions! {
    /// A function from rows to a value.
    Aggregate {
        /// Nothing: rows.
        Count = "count",
        /// Bool.
        CountIf = "countif",
        /// A value; exact.
        CountDistinct = "count_distinct",
        /// A value, bool; exact.
        CountDistinctIf = "count_distinctif",
        /// A value; about.
        Dcount = "dcount",
        /// A value, bool.
        DcountIf = "dcountif",
        /// A number or timespan.
        Sum = "sum",
        /// A number or timespan, bool.
        SumIf = "sumif",
        /// A number, timespan or datetime.
        Avg = "avg",
        /// The same, bool.
        AvgIf = "avgif",
        /// A value.
        Min = "min",
        /// A value, bool.
        MinIf = "minif",
        /// A value.
        Max = "max",
        /// A value, bool.
        MaxIf = "maxif",
        /// A value, a literal between 0 and 100. `percentiles` is one for each.
        Percentile = "percentile",
        /// A value, its weight, a literal.
        PercentileWeighted = "percentilew",
        /// A value, literals: one dynamic array.
        PercentilesArray = "percentiles_array",
        /// A number; of a sample.
        Stdev = "stdev",
        /// A number, bool.
        StdevIf = "stdevif",
        /// A number; of a population.
        StdevPopulation = "stdevp",
        /// A number; of a sample.
        Variance = "variance",
        /// A number, bool.
        VarianceIf = "varianceif",
        /// A number; of a population.
        VariancePopulation = "variancep",
        /// A value, at most how many (a literal; 1,048,576 when not given). Nulls are left out.
        MakeList = "make_list",
        /// A value, bool, at most how many.
        MakeListIf = "make_list_if",
        /// A value.
        MakeListWithNulls = "make_list_with_nulls",
        /// A value, at most how many.
        MakeSet = "make_set",
        /// A value, bool, at most how many.
        MakeSetIf = "make_set_if",
        /// A bag, at most how many members.
        MakeBag = "make_bag",
        /// A bag, bool, at most how many members.
        MakeBagIf = "make_bag_if",
        /// What is largest, then what is carried along: one output for each argument.
        ArgMax = "arg_max",
        /// What is smallest, then what is carried along.
        ArgMin = "arg_min",
        /// One output for each argument, all of one row; a row with values before one of nulls.
        TakeAny = "take_any",
        /// A value, bool.
        TakeAnyIf = "take_anyif",
        /// A long.
        BinaryAllAnd = "binary_all_and",
        /// A long.
        BinaryAllOr = "binary_all_or",
        /// A long.
        BinaryAllXor = "binary_all_xor",
    }
}
