package lax

// Form is one form of a value, as canonical Extended JSON.
type Form struct{ Name, JSON string }

// Forms returns the values that clients have sent for booleans, numbers, names and documents.
func Forms() []Form {
	return []Form{
		{"true", `true`},
		{"1", `{"$numberInt":"1"}`},
		{"1.0", `{"$numberDouble":"1.0"}`},
		{"string", `"x"`},
		{"empty", `""`},
		{"null", `null`},
		{"NaN", `{"$numberDouble":"NaN"}`},
		{"-0.0", `{"$numberDouble":"-0.0"}`},
		{"Decimal128", `{"$numberDecimal":"1"}`},
		{"Long", `{"$numberLong":"1"}`},
		{"date", `{"$date":{"$numberLong":"1000"}}`},
		{"document", `{"a":{"$numberInt":"1"}}`},
	}
}

// False are the forms of a value that is off or zero, for the options where they differ from leaving it out.
func falseForms() []Form {
	return []Form{{"false", `false`}, {"0", `{"$numberInt":"0"}`}, {"0.0", `{"$numberDouble":"0.0"}`}, {"Long 0", `{"$numberLong":"0"}`}}
}

func numbers(values ...string) []Form {
	var forms []Form
	for _, v := range values {
		forms = append(forms, Form{v, `{"$numberDouble":"` + v + `"}`})
	}
	return forms
}

func texts(values ...string) []Form {
	var forms []Form
	for _, v := range values {
		forms = append(forms, Form{v, `"` + v + `"`})
	}
	return forms
}

func documents(values ...string) []Form {
	var forms []Form
	for _, v := range values {
		forms = append(forms, Form{v, v})
	}
	return forms
}
