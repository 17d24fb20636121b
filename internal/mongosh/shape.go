package mongosh

// shape is the kind of JavaScript value that preserves the order of a document's keys.
type shape int

const (
	plainObject  shape = iota
	orderedMap         // the driver serialises a Map in insertion order, but not at a command's top
	repeatedKeys       // a document may repeat a key, which neither an object nor a Map can
)

func shapeOf(fields object) shape {
	ordered, seen := true, make(map[string]struct{}, len(fields))
	var last uint64
	names := 0 // keys so far that are not integers
	for i, f := range fields {
		if _, again := seen[f.key]; again {
			return repeatedKeys
		}
		seen[f.key] = struct{}{}
		switch n, integer := integerKey(f.key); {
		case !integer:
			names++
		case names > 0 || i > 0 && n <= last:
			ordered = false
		default:
			last = n
		}
		if f.key == "_bsontype" {
			// The driver treats an object with this key as one of its types.
			ordered = false
		}
	}
	if !ordered {
		return orderedMap
	}
	return plainObject
}
