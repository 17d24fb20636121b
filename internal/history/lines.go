package history

// row is one line of a side-by-side comparison: equal lines on both sides, a line on one side,
// or a changed line.
type row struct {
	left, right       string
	hasLeft, hasRight bool
}

func (r row) same() bool { return r.hasLeft && r.hasRight && r.left == r.right }

// maxCompared bounds the table of the comparison: for larger texts every line counts as
// changed.
const maxCompared = 4_000_000

// compareLines aligns two texts by their longest common subsequence of lines. Changed
// lines are shown side by side, in the order in which they are added.
func compareLines(left, right []string) []row {
	common := commonLines(left, right)
	var rows []row
	i, j := 0, 0
	changed := func(toLeft, toRight int) {
		for i < toLeft || j < toRight {
			var r row
			if i < toLeft {
				r.left, r.hasLeft = left[i], true
				i++
			}
			if j < toRight {
				r.right, r.hasRight = right[j], true
				j++
			}
			rows = append(rows, r)
		}
	}
	for _, c := range common {
		changed(c[0], c[1])
		rows = append(rows, row{left[i], right[j], true, true})
		i++
		j++
	}
	changed(len(left), len(right))
	return rows
}

// commonLines returns the pairs of positions of a longest common subsequence.
func commonLines(left, right []string) [][2]int {
	if len(left)*len(right) > maxCompared {
		return nil
	}
	length := make([][]int, len(left)+1)
	for i := range length {
		length[i] = make([]int, len(right)+1)
	}
	for i := len(left) - 1; i >= 0; i-- {
		for j := len(right) - 1; j >= 0; j-- {
			if left[i] == right[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(left) && j < len(right); {
		switch {
		case left[i] == right[j]:
			pairs = append(pairs, [2]int{i, j})
			i++
			j++
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}
