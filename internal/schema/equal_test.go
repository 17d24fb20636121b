package schema

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestEquivalent holds what a driver sent beside what a server lists, each pair seen on a server, and pairs that differ.
func TestEquivalent(t *testing.T) {
	index := func(options string) string { return `{"v": 2, "key": {"a": 1}, "name": "i", ` + options + `}` }
	for name, c := range map[string]struct {
		a, b   string
		differ bool
	}{
		"a number for true":        {a: index(`"sparse": 1`), b: index(`"sparse": true`)},
		"a double for true":        {a: index(`"sparse": {"$numberDouble": "1.0"}`), b: index(`"sparse": true`)},
		"NaN for true":             {a: index(`"sparse": {"$numberDouble": "NaN"}`), b: index(`"sparse": true`)},
		"a Decimal128 for true":    {a: index(`"sparse": {"$numberDecimal": "1"}`), b: index(`"sparse": true`)},
		"a string for true":        {a: index(`"sparse": "x"`), b: index(`"sparse": true`)},
		"an empty string for true": {a: index(`"sparse": ""`), b: index(`"sparse": true`)},
		"a date for true":          {a: index(`"sparse": {"$date": {"$numberLong": "0"}}`), b: index(`"sparse": true`)},
		"null for false":           {a: index(`"sparse": null`), b: index(`"x": 1`), differ: true},
		"null for none":            {a: index(`"sparse": null`), b: `{"v": 2, "key": {"a": 1}, "name": "i"}`},
		"-0.0 for false":           {a: index(`"sparse": {"$numberDouble": "-0.0"}`), b: index(`"sparse": false`)},
		"false for none":           {a: index(`"sparse": false`), b: `{"v": 2, "key": {"a": 1}, "name": "i"}`},
		"true for none":            {a: index(`"sparse": true`), b: `{"v": 2, "key": {"a": 1}, "name": "i"}`, differ: true},
		"background":               {a: index(`"background": {"$numberDouble": "1.0"}`), b: index(`"background": true`)},
		"fraction of a second":     {a: index(`"expireAfterSeconds": {"$numberDouble": "3600.5"}`), b: index(`"expireAfterSeconds": 3600`)},
		"another second":           {a: index(`"expireAfterSeconds": {"$numberDouble": "3601.5"}`), b: index(`"expireAfterSeconds": 3600`), differ: true},
		"NaN seconds on 5.0":       {a: index(`"expireAfterSeconds": {"$numberDouble": "NaN"}`), b: index(`"expireAfterSeconds": 0`)},
		"NaN seconds on 6.0":       {a: index(`"expireAfterSeconds": {"$numberDouble": "NaN"}`), b: index(`"expireAfterSeconds": 2147483647`)},
		"NaN is not 1 s":           {a: index(`"expireAfterSeconds": {"$numberDouble": "NaN"}`), b: index(`"expireAfterSeconds": 1`), differ: true},
		"0 s is not never":         {a: index(`"expireAfterSeconds": 0`), b: index(`"expireAfterSeconds": 2147483647`), differ: true},
		"0 s is not no expiry":     {a: index(`"expireAfterSeconds": 0`), b: `{"v": 2, "key": {"a": 1}, "name": "i"}`, differ: true},
		"more than 32 bits":        {a: index(`"expireAfterSeconds": {"$numberLong": "2147483648"}`), b: index(`"expireAfterSeconds": 2147483647`)},
		"bits":                     {a: index(`"bits": {"$numberDouble": "26.5"}`), b: index(`"bits": 26`)},
		"bounds":                   {a: index(`"min": {"$numberDecimal": "1"}`), b: index(`"min": {"$numberDouble": "1.0"}`)},
		"fraction of a bound":      {a: index(`"min": {"$numberDouble": "1.5"}`), b: index(`"min": 1`), differ: true},
		"level":                    {a: index(`"coarsestIndexedLevel": {"$numberDouble": "-0.0"}`), b: index(`"coarsestIndexedLevel": 0`)},
		"version of 2dsphere":      {a: index(`"2dsphereIndexVersion": {"$numberDouble": "2.0"}`), b: index(`"2dsphereIndexVersion": 2`)},
		"bucket size":              {a: index(`"bucketSize": {"$numberDecimal": "1"}`), b: index(`"bucketSize": {"$numberDouble": "1.0"}`)},
		"bucket size of NaN":       {a: index(`"bucketSize": {"$numberDouble": "NaN"}`), b: index(`"bucketSize": 0`)},
		"another key":              {a: `{"key": {"a": 1}, "name": "i"}`, b: `{"key": {"a": -1}, "name": "i"}`, differ: true},
	} {
		if got := EquivalentIndex(document(t, c.a), document(t, c.b)); got == c.differ {
			t.Errorf("%s: equivalent is %t", name, got)
		}
		if got := len(DifferingIndex(document(t, c.a), document(t, c.b))) > 0; got != c.differ {
			t.Errorf("%s: differing is %t", name, got)
		}
	}
	for name, c := range map[string]struct {
		a, b   string
		differ bool
	}{
		"capped size, rounded": {a: `{"capped": true, "size": 100000}`, b: `{"capped": true, "size": 100096}`},
		"another capped size":  {a: `{"capped": true, "size": 100000}`, b: `{"capped": true, "size": 100352}`, differ: true},
		"capped size of 0":     {a: `{"capped": true, "size": {"$numberDouble": "NaN"}}`, b: `{"capped": true, "size": 0}`},
		"the size that 0 is":   {a: `{"capped": true, "size": {"$numberDouble": "-0.0"}}`, b: `{"capped": true, "size": 4096}`},
		"another size than 0":  {a: `{"capped": true, "size": 0}`, b: `{"capped": true, "size": 256}`, differ: true},
		"no maximum":           {a: `{"capped": true, "size": 256, "max": {"$numberDouble": "2147483647"}}`, b: `{"capped": true, "size": 256}`},
		"a negative maximum":   {a: `{"capped": true, "size": 256, "max": -1}`, b: `{"capped": true, "size": 256, "max": 2147483647}`},
		"empty level":          {a: `{"validationLevel": ""}`, b: `{"validationLevel": "strict", "validationAction": "error"}`},
		"another level":        {a: `{"validationLevel": "off"}`, b: `{"validationLevel": "strict"}`, differ: true},
		"pre-images by a word": {a: `{"recordPreImages": "x"}`, b: `{"recordPreImages": true}`},
		"pre-images by a zero": {a: `{"recordPreImages": 0}`, b: `{}`},
		"autoIndexId":          {a: `{"autoIndexId": {"$numberDouble": "NaN"}}`, b: `{}`},
		"temp":                 {a: `{"temp": true}`, b: `{}`},
		"expiry of a series":   {a: `{"timeseries": {"timeField": "t"}, "expireAfterSeconds": {"$numberLong": "1"}}`, b: `{"timeseries": {"timeField": "t"}, "expireAfterSeconds": 1}`},
		"another engine":       {a: `{"storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`, b: `{}`, differ: true},
		"engine of a series, stored by an earlier release": {a: `{"timeseries": {"timeField": "t"}, "storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`,
			b: `{"timeseries": {"timeField": "t"}}`},
		"another engine of a series": {a: `{"timeseries": {"timeField": "t"}, "storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`,
			b: `{"timeseries": {"timeField": "t"}, "storageEngine": {"wiredTiger": {"configString": "block_compressor=snappy"}}}`, differ: true},
		"metadata of the server": {a: `{"timeseries": {"timeField": "t"}, "storageEngine": {"wiredTiger": {"configString": "app_metadata=(x=true)"}}}`,
			b: `{"timeseries": {"timeField": "t"}}`},
		"validator, other type": {a: `{"validator": {"a": 1}}`, b: `{"validator": {"a": true}}`, differ: true},
	} {
		a, b := document(t, c.a), document(t, c.b)
		if one, other := EquivalentOptions(a, b), EquivalentOptions(b, a); one == c.differ || other == c.differ {
			t.Errorf("%s: equivalent is %t, the other way round %t", name, one, other)
		}
	}
}

func document(t *testing.T, text string) bson.Raw {
	t.Helper()
	var doc bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestNormalizesNaNExpiry distinguishes what 6.0 writes when it becomes primary from what a user changes.
func TestNormalizesNaNExpiry(t *testing.T) {
	const nan = `{"$numberDouble": "NaN"}`
	for _, c := range []struct {
		was, is string
		want    bool
	}{
		{nan, `{"$numberLong": "2147483647"}`, true},
		{nan, `2147483647`, true},
		{nan, `0`, false},
		{nan, nan, false},
		{nan, `3600`, false},
		{`0`, `2147483647`, false},
		{`2147483647`, `2147483647`, false},
	} {
		spec := func(seconds string) bson.Raw {
			return document(t, `{"key": {"a": 1}, "name": "i", "expireAfterSeconds": `+seconds+`}`)
		}
		if got := NormalizesNaNExpiry(spec(c.was), spec(c.is)); got != c.want {
			t.Errorf("%s to %s: %t", c.was, c.is, got)
		}
	}
}
