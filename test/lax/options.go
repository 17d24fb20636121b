package lax

import "strings"

// database is the database of the trials.
const database = "lax"

// Option is one option with the commands that set it.
type Option struct {
	Name string
	// Commands are run in turn, as Extended JSON; COLL stands for the collection, FORM for the value. The last one is the trial.
	Commands []string
	// More are forms in addition to Forms.
	More []Form
}

// Options returns all options.
func Options() []Option {
	all := indexOptions()
	all = append(all, collectionOptions()...)
	return append(all, modifications()...)
}

// index is an option of an index on one field, of a new collection.
func index(name, spec string, more ...Form) Option {
	return Option{"index " + name, []string{`{"create":"COLL"}`, createIndex(spec)}, more}
}

func createIndex(spec string) string {
	if !strings.Contains(spec, `"key"`) {
		spec = `"key":{"a":1},` + spec
	}
	return `{"createIndexes":"COLL","indexes":[{"name":"i",` + spec + `}]}`
}

func indexOptions() []Option {
	flag := falseForms()
	geo := func(option string, more ...Form) Option {
		return index(option, `"key":{"g":"2dsphere"},"`+option+`":FORM`, more...)
	}
	text := func(option string, more ...Form) Option {
		return index(option, `"key":{"t":"text"},"`+option+`":FORM`, more...)
	}
	plane := func(option string, more ...Form) Option {
		return index(option, `"key":{"g":"2d"},"`+option+`":FORM`, more...)
	}
	collation := func(field, locale string, more ...Form) Option {
		return index("collation."+field, `"collation":{"locale":"`+locale+`","`+field+`":FORM}`, more...)
	}
	return []Option{
		index("key", `"key":{"a":FORM}`, append(numbers("-1.0", "0.5", "2"), texts("hashed")...)...),
		index("key two fields", `"key":{"a":1,"b":FORM}`, numbers("-1", "-2.5")...),
		index("unique", `"unique":FORM`, flag...),
		index("sparse", `"sparse":FORM`, flag...),
		index("hidden", `"hidden":FORM`, flag...),
		index("prepareUnique", `"prepareUnique":FORM`, flag...),
		index("background", `"background":FORM`, flag...),
		index("dropDups", `"dropDups":FORM`, flag...),
		index("expireAfterSeconds", `"expireAfterSeconds":FORM`, numbers("3600.5", "0", "-1", "2147483647", "2147483648", "1e+20", "Infinity")...),
		index("v", `"v":FORM`, numbers("1", "2", "2.5")...),
		index("ns", `"ns":FORM`),
		index("partialFilterExpression", `"partialFilterExpression":FORM`, documents(`{}`, `{"a":{"$gt":{"$numberDouble":"NaN"}}}`)...),
		index("partialFilterExpression.$exists", `"partialFilterExpression":{"a":{"$exists":FORM}}`),
		index("partialFilterExpression.$type", `"partialFilterExpression":{"a":{"$type":FORM}}`, texts("number")...),
		index("collation", `"collation":FORM`, documents(`{}`, `{"locale":"simple"}`, `{"locale":"de"}`)...),
		collation("strength", "de", numbers("2", "3", "2.5")...),
		collation("caseLevel", "de", flag...),
		collation("caseFirst", "de", texts("off", "upper")...),
		collation("numericOrdering", "de", flag...),
		collation("alternate", "de", texts("shifted", "non-ignorable")...),
		collation("maxVariable", "de", texts("space", "punct")...),
		collation("normalization", "de", flag...),
		collation("backwards", "fr_CA", flag...),
		collation("version", "de", texts("57.1")...),
		index("storageEngine", `"storageEngine":FORM`, documents(`{}`, `{"wiredTiger":{}}`)...),
		index("storageEngine.wiredTiger.configString", `"storageEngine":{"wiredTiger":{"configString":FORM}}`, texts("block_compressor=zlib")...),
		index("clustered", `"clustered":FORM`),
		text("weights", documents(`{"t":{"$numberDouble":"2.5"}}`, `{"u":{"$numberInt":"3"}}`)...),
		index("weights of an index as it is stored", `"key":{"_fts":"text","_ftsx":1},"weights":{"t":FORM},"default_language":"english"`, numbers("1", "2")...),
		index("weights of a field", `"key":{"t":"text"},"weights":{"t":FORM}`, numbers("2", "2.5", "99999", "100000")...),
		text("default_language", texts("german", "english", "de", "none")...),
		text("language_override", texts("idioma", "language")...),
		text("textIndexVersion", numbers("1", "2", "3", "2.5")...),
		geo("2dsphereIndexVersion", numbers("1", "2", "3", "2.5")...),
		geo("finestIndexedLevel", numbers("20", "23.5")...),
		geo("coarsestIndexedLevel", numbers("2", "10")...),
		plane("bits", numbers("20", "26", "26.5")...),
		plane("min", numbers("-180", "-10.5")...),
		plane("max", numbers("180", "100.5")...),
		index("bucketSize", `"key":{"g":"geoHaystack","type":1},"bucketSize":FORM`, numbers("5.5")...),
		index("wildcardProjection", `"key":{"$**":1},"wildcardProjection":FORM`, documents(`{"b":{"$numberInt":"0"},"_id":true}`, `{"b.c":{"$numberInt":"1"}}`)...),
		index("wildcardProjection of a field", `"key":{"$**":1},"wildcardProjection":{"b":FORM}`, flag...),
		index("wildcardProjection beside a path", `"key":{"a.$**":1},"sparse":FORM`),
		index("hashed with sparse", `"key":{"a":"hashed"},"sparse":FORM`),
		{"index on a collated collection", []string{`{"create":"COLL","collation":{"locale":"de"}}`, createIndex(`"v":FORM`)}, numbers("1", "2")},
		{"index with collation on a collated collection", []string{`{"create":"COLL","collation":{"locale":"de"}}`, createIndex(`"collation":FORM`)},
			documents(`{"locale":"simple"}`, `{"locale":"de"}`, `{}`)},
		index("field that servers do not know, v: 1", `"v":1,"safe":FORM`),
		index("key, v: 1", `"v":1,"key":{"a":FORM}`, append(numbers("-1.0", "0.5"), texts("hashed", "text")...)...),
		index("sparse, v: 1", `"v":1,"sparse":FORM`),
		{"index field to be ignored", []string{`{"create":"COLL"}`,
			`{"createIndexes":"COLL","ignoreUnknownIndexOptions":true,"indexes":[{"name":"i","key":{"a":1},"safe":FORM,"sparse":FORM}]}`}, nil},
		restored("index sparse", `"createIndexes":"COLL","v":2,"key":{"a":1},"name":"i","sparse":FORM`, flag...),
		restored("index expireAfterSeconds", `"createIndexes":"COLL","v":2,"key":{"a":1},"name":"i","expireAfterSeconds":FORM`, numbers("3600.5")...),
		restored("index field that servers do not know", `"createIndexes":"COLL","v":2,"key":{"a":1},"name":"i","safe":FORM`),
		{"index of a time series", []string{`{"create":"COLL","timeseries":{"timeField":"t","metaField":"m"}}`, createIndex(`"key":{"m.a":FORM}`)}, numbers("-1")},
		{"index of a time series sparse", []string{`{"create":"COLL","timeseries":{"timeField":"t","metaField":"m"}}`, createIndex(`"key":{"m.a":1},"sparse":FORM`)}, falseForms()},
		{"index of a time series hidden", []string{`{"create":"COLL","timeseries":{"timeField":"t","metaField":"m"}}`, createIndex(`"key":{"m.a":1},"hidden":FORM`)}, falseForms()},
	}
}

// restored applies an oplog entry, as restore tools do. Servers validate it less than a command.
func restored(name, entry string, more ...Form) Option {
	return Option{"applyOps " + name, []string{`{"create":"COLL"}`, `{"applyOps":[{"op":"c","ns":"` + database + `.$cmd","ui":"UUID","o":{` + entry + `}}]}`}, more}
}

// create is an option of a new collection.
func create(name, options string, more ...Form) Option {
	return Option{"create " + name, []string{`{"create":"COLL",` + options + `}`}, more}
}

func collectionOptions() []Option {
	flag := falseForms()
	series := func(field string, more ...Form) Option {
		return create("timeseries."+field, `"timeseries":{"timeField":"t","`+field+`":FORM}`, more...)
	}
	clustered := func(field string, more ...Form) Option {
		return create("clusteredIndex."+field, `"clusteredIndex":{"key":{"_id":1},"unique":true,"`+field+`":FORM}`, more...)
	}
	collation := func(field string, more ...Form) Option {
		return create("collation."+field, `"collation":{"locale":"de","`+field+`":FORM}`, more...)
	}
	return []Option{
		create("capped", `"capped":FORM,"size":4096`, flag...),
		create("size of a capped one", `"capped":true,"size":FORM`, numbers("4096", "100000", "5000.5", "100")...),
		create("size without capped", `"size":FORM`, numbers("4096")...),
		create("max of a capped one", `"capped":true,"size":4096,"max":FORM`, append(flag, numbers("10", "10.5", "-1", "2147483647", "2147483648")...)...),
		create("max without capped", `"max":FORM`, numbers("10")...),
		{"applyOps create capped", []string{`{"applyOps":[{"op":"c","ns":"` + database + `.$cmd","o":{"create":"COLL","capped":FORM,"size":5000}}]}`}, flag},
		{"applyOps create validationLevel", []string{`{"applyOps":[{"op":"c","ns":"` + database + `.$cmd","o":{"create":"COLL","validationLevel":FORM}}]}`}, nil},
		create("autoIndexId", `"autoIndexId":FORM`, flag...),
		create("flags", `"flags":FORM`, numbers("0", "2")...),
		create("temp", `"temp":FORM`, flag...),
		create("validator", `"validator":FORM`, documents(`{}`, `{"$expr":true}`, `{"$jsonSchema":{}}`, `{"$comment":"x"}`)...),
		create("validationLevel", `"validationLevel":FORM`, texts("off", "moderate", "strict")...),
		create("validationAction", `"validationAction":FORM`, texts("warn", "error")...),
		create("collation", `"collation":FORM`, documents(`{}`, `{"locale":"simple"}`, `{"locale":"de"}`)...),
		collation("strength", numbers("2", "3", "2.5")...),
		collation("caseLevel", flag...),
		collation("numericOrdering", flag...),
		create("storageEngine", `"storageEngine":FORM`, documents(`{}`, `{"wiredTiger":{}}`)...),
		create("storageEngine.wiredTiger.configString", `"storageEngine":{"wiredTiger":{"configString":FORM}}`, texts("block_compressor=zlib")...),
		create("indexOptionDefaults", `"indexOptionDefaults":FORM`, documents(`{}`)...),
		create("indexOptionDefaults.storageEngine", `"indexOptionDefaults":{"storageEngine":FORM}`, documents(`{}`, `{"wiredTiger":{}}`)...),
		create("changeStreamPreAndPostImages", `"changeStreamPreAndPostImages":FORM`),
		create("changeStreamPreAndPostImages.enabled", `"changeStreamPreAndPostImages":{"enabled":FORM}`, flag...),
		create("recordPreImages", `"recordPreImages":FORM`, flag...),
		create("clusteredIndex", `"clusteredIndex":FORM`),
		clustered("unique", flag...),
		clustered("v", numbers("2")...),
		clustered("name", texts("mine")...),
		create("clusteredIndex key", `"clusteredIndex":{"key":{"_id":FORM},"unique":true}`, numbers("-1")...),
		create("expireAfterSeconds of a clustered one", `"clusteredIndex":{"key":{"_id":1},"unique":true},"expireAfterSeconds":FORM`, numbers("3600.5", "0", "-1", "1e+9")...),
		create("timeseries", `"timeseries":FORM`),
		create("expireAfterSeconds of a time series", `"timeseries":{"timeField":"t"},"expireAfterSeconds":FORM`, append(texts("off"), numbers("3600.5", "0", "-1", "1e+9")...)...),
		series("granularity", texts("seconds", "minutes", "hours")...),
		series("metaField", texts("m")...),
		series("bucketMaxSpanSeconds", numbers("3600", "3600.5", "100")...),
		create("storageEngine of a time series", `"timeseries":{"timeField":"t"},"storageEngine":FORM`, documents(`{}`, `{"wiredTiger":{}}`, `{"wiredTiger":{"configString":"block_compressor=zlib"}}`)...),
		series("bucketRoundingSeconds", numbers("3600", "100")...),
		create("viewOn", `"viewOn":FORM,"pipeline":[]`),
		create("pipeline", `"viewOn":"COLL.source","pipeline":FORM`, documents(`[]`, `[{"$match":{"a":{"$numberDouble":"NaN"}}}]`)...),
		create("collation of a view", `"viewOn":"COLL.source","pipeline":[],"collation":FORM`, documents(`{}`, `{"locale":"simple"}`, `{"locale":"de"}`)...),
		create("encryptedFields", `"encryptedFields":FORM`),
		create("idIndex.v", `"idIndex":{"key":{"_id":1},"name":"_id_","v":FORM}`, numbers("1", "2")...),
	}
}

// modify changes an option with collMod, on a collection created by before.
func modify(name, before, parameters string, more ...Form) Option {
	return Option{"collMod " + name, []string{before, `{"collMod":"COLL",` + parameters + `}`}, more}
}

// replaced creates a collection with an option, which $out then replaces.
func replaced(name, create, index string, more ...Form) Option {
	return Option{"$out over " + name, []string{create, index, `{"aggregate":"COLL","pipeline":[{"$out":"COLL"}],"cursor":{}}`}, more}
}

func modifications() []Option {
	flag := falseForms()
	indexed := func(name, spec, parameter string, more ...Form) Option {
		return Option{"collMod index." + name, []string{
			`{"create":"COLL"}`, createIndex(spec), `{"collMod":"COLL","index":{"name":"i",` + parameter + `}}`,
		}, more}
	}
	const plain, capped, series = `{"create":"COLL"}`, `{"create":"COLL","capped":true,"size":8192,"max":100}`,
		`{"create":"COLL","timeseries":{"timeField":"t","metaField":"m"}}`
	return []Option{
		indexed("hidden", `"hidden":false`, `"hidden":FORM`, flag...),
		{"collMod index.hidden of a time series' measurement", []string{series, `{"createIndexes":"COLL","indexes":[{"name":"i","key":{"x":1}}]}`,
			`{"collMod":"COLL","index":{"name":"i","hidden":FORM}}`}, flag},
		{"collMod index.hidden of a time series' hidden measurement", []string{series, `{"createIndexes":"COLL","indexes":[{"name":"i","key":{"m":1,"x":-1},"hidden":true}]}`,
			`{"collMod":"COLL","index":{"name":"i","hidden":FORM}}`}, flag},
		indexed("hidden of a hidden one", `"hidden":true`, `"hidden":FORM`, flag...),
		indexed("expireAfterSeconds", `"expireAfterSeconds":100`, `"expireAfterSeconds":FORM`, numbers("3600.5", "0", "-1", "2147483647", "2147483648")...),
		indexed("expireAfterSeconds added", `"sparse":true`, `"expireAfterSeconds":FORM`, numbers("3600.5")...),
		indexed("expireAfterSeconds after a lax one", `"expireAfterSeconds":{"$numberDouble":"3600.5"}`, `"expireAfterSeconds":FORM`),
		indexed("prepareUnique", `"sparse":true`, `"prepareUnique":FORM`, flag...),
		indexed("unique", `"prepareUnique":true`, `"unique":FORM`, flag...),
		modify("validator", plain, `"validator":FORM`, documents(`{}`)...),
		modify("validationLevel", plain, `"validationLevel":FORM`, texts("off", "strict")...),
		modify("validationAction", plain, `"validationAction":FORM`, texts("warn", "error")...),
		modify("recordPreImages", plain, `"recordPreImages":FORM`, flag...),
		modify("changeStreamPreAndPostImages.enabled", plain, `"changeStreamPreAndPostImages":{"enabled":FORM}`, flag...),
		modify("cappedSize", capped, `"cappedSize":FORM`, numbers("100000", "100000.5", "4096", "100")...),
		modify("cappedMax", capped, `"cappedMax":FORM`, append(flag, numbers("10", "10.5", "-1", "2147483647", "2147483648")...)...),
		modify("expireAfterSeconds of a time series", series, `"expireAfterSeconds":FORM`, append(texts("off"), numbers("3600.5", "0")...)...),
		modify("timeseries.granularity", series, `"timeseries":{"granularity":FORM}`, texts("minutes", "hours")...),
		modify("timeseries.bucketMaxSpanSeconds", series, `"timeseries":{"bucketMaxSpanSeconds":FORM,"bucketRoundingSeconds":FORM}`, numbers("7200")...),
		{"collMod pipeline of a view", []string{`{"create":"COLL","viewOn":"COLL.source","pipeline":[]}`,
			`{"collMod":"COLL","viewOn":"COLL.source","pipeline":FORM}`}, documents(`[]`, `[{"$match":{"a":{"$numberDouble":"1"}}}]`)},
		modify("validator beside a lax autoIndexId", `{"create":"COLL","autoIndexId":true}`, `"validationLevel":FORM`, texts("off")...),
		{"collMod index by its key", []string{`{"create":"COLL"}`, createIndex(`"expireAfterSeconds":100`),
			`{"collMod":"COLL","index":{"keyPattern":{"a":1},"expireAfterSeconds":FORM}}`}, numbers("3600.5")},
		{"collMod index by its key in this form", []string{`{"create":"COLL"}`, createIndex(`"expireAfterSeconds":100`),
			`{"collMod":"COLL","index":{"keyPattern":{"a":FORM},"expireAfterSeconds":200}}`}, nil},
		modify("validationAction on a collated collection", `{"create":"COLL","collation":{"locale":"de"}}`, `"validationAction":FORM`, texts("warn")...),
		{"convertToCapped", []string{`{"create":"COLL"}`, `{"convertToCapped":"COLL","size":FORM}`}, numbers("4096", "5000.5", "100")},
		replaced("sparse", `{"create":"COLL"}`, createIndex(`"sparse":FORM`), flag...),
		replaced("expireAfterSeconds", `{"create":"COLL"}`, createIndex(`"expireAfterSeconds":FORM`), numbers("3600.5")...),
		replaced("validationLevel", `{"create":"COLL","validationLevel":FORM}`, createIndex(`"v":1`)),
	}
}
